#!/usr/bin/env bash
# The cuda target compiles without a warning for every architecture of mk/cuda.mk, links, starts, and says plainly when
# there is no GPU. Nothing of it runs here.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip cuda_compiles: nvcc is not on this machine"
    exit 0
fi
log=$(mktemp) && trap 'rm -f "$log"' EXIT
if make --no-print-directory -j"$(nproc)" cuda >"$log" 2>&1; then
    echo "ok cuda_compiles"
else
    echo "not ok cuda_compiles"
    tail -n 20 "$log"
    exit 1
fi
if [ "$(bin/handsoff-cuda --version)" = "$(bin/handsoff --version)" ]; then
    echo "ok cuda_starts"
else
    echo "not ok cuda_starts"
fi
if [ -e /dev/nvidia0 ]; then
    echo "skip cuda_without_gpu: this machine has a GPU"
elif message=$(bin/handsoff-cuda synth --weights data/toy_faces/generator.h5 --seeds 0 --out "$log.d" 2>&1); then
    echo "not ok cuda_without_gpu: it ran"
elif [[ $message == *"no usable GPU"* ]]; then
    echo "ok cuda_without_gpu"
else
    echo "not ok cuda_without_gpu: $message"
fi
