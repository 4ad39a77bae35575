#!/usr/bin/env bash
# The table of operations on the cuda target under the GPU simulator: tests/optable/test_cuda.sh.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip table_on_cuda: nvcc is not on this machine"
    exit 0
fi
build=${BUILD:-build}
log=$(mktemp) && trap 'rm -f "$log"' EXIT
if ! make --no-print-directory -j"$(nproc)" BUILD="$build" GPU=sim optable-cuda >"$log" 2>&1; then
    echo "not ok table_on_cuda_build"
    tail -n 20 "$log"
    exit 1
fi
BUILD=$build GPU=sim exec bash tests/optable/test_cuda.sh
