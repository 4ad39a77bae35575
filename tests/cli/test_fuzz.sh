#!/usr/bin/env bash
# A short run of each fuzz target over its seeds (mk/fuzz.mk); FUZZ_SECONDS says how long they take together.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
names=${FUZZ_NAMES:-weights hdf5 png jpeg bmp json csv mat npy yaml}
if ! command -v clang >/dev/null && ! command -v clang-14 >/dev/null; then
    echo "skip fuzz: no clang"
    exit 0
fi
if ! make -s -j"$(nproc)" BUILD="$build" FUZZ_NAMES="$names" fuzz-programs >"$build/fuzz.log" 2>&1; then
    if grep -q "libclang_rt.fuzzer" "$build/fuzz.log"; then
        echo "skip fuzz: clang has no libFuzzer here"
        exit 0
    fi
    tail -n 20 "$build/fuzz.log"
    echo "not ok fuzz: the targets do not build"
    exit 1
fi
tests/fuzz/run.sh "$build/fuzz" "${FUZZ_SECONDS:-60}" "$(nproc)" $names
