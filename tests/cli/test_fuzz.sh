#!/usr/bin/env bash
# A short run of each fuzz target over its seeds (mk/fuzz.mk); FUZZ_SECONDS says how long.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build}
seconds=${FUZZ_SECONDS:-20}
name="fuzz weights: $seconds s from seeds of every container, ASan and UBSan"
if ! command -v clang >/dev/null && ! command -v clang-14 >/dev/null; then
    echo "skip $name: no clang"
    exit 0
fi
if ! make -s BUILD="$build" "$build/fuzz/fuzz_weights" "$build/fuzz/weights_seeds" >"$build/fuzz.log" 2>&1; then
    if grep -q "libclang_rt.fuzzer" "$build/fuzz.log"; then
        echo "skip $name: clang has no libFuzzer here"
        exit 0
    fi
    tail -n 20 "$build/fuzz.log"
    echo "not ok $name: does not build"
    exit 1
fi
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT
if "$build/fuzz/fuzz_weights" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 -max_len=131072 -artifact_prefix="$build/fuzz/" \
    "$corpus" "$build/fuzz/weights_seeds" >"$build/fuzz.log" 2>&1; then
    echo "ok $name"
else
    tail -n 40 "$build/fuzz.log"
    echo "not ok $name"
    exit 1
fi
