#!/usr/bin/env bash
# The fused convolutions of the cuda target on the GPU simulator: right against double loops, bit for bit with whole
# numbers, and no report of its checks, whatever order threads and blocks run in.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip fused_conv: nvcc is not on this machine"
    exit 0
fi
build=${BUILD:-build}
program=$build/cuda/tests/gpusim/tests/test_fused_conv
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
if ! make --no-print-directory -j"$(nproc)" BUILD="$build" gpusim "$program" >"$work/log" 2>&1; then
    echo "not ok fused_conv_build"
    tail -n 20 "$work/log"
    exit 1
fi
for order in order=reverse order=random,seed=1; do
    if LD_LIBRARY_PATH=$build/gpusim/lib GPUSIM=$order "$program" >"$work/log" 2>&1 && grep -q ' 0 reports' "$work/log"; then
        echo "ok fused_conv_${order//[=,]/_}"
    else
        echo "not ok fused_conv_${order//[=,]/_}"
        cut -c1-200 "$work/log" | tail -n 20
    fi
done
