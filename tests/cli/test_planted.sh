#!/usr/bin/env bash
# The simulator's checks are checked: mistakes planted in small kernels are reported at the right line in every order of
# the threads, and the corrected twins pass (tests/gpusim/planted).
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip planted: nvcc is not on this machine"
    exit 0
fi
build=${BUILD:-build}
log=$(mktemp) && trap 'rm -f "$log"' EXIT
if ! make --no-print-directory -j"$(nproc)" BUILD="$build" "$build/gpusim/lib/libcudart.so.13" >"$log" 2>&1; then
    echo "not ok planted: the simulator was not built"
    tail -n 20 "$log"
    exit 1
fi
exec python3 tests/gpusim/planted/run.py --build "$build"
