#!/usr/bin/env bash
# The machine code of the tensor-core kernels, every architecture: matrix instructions of the right type, asynchronous
# copies of 16 bytes into shared memory, no local memory. Disassemblers: the toolkit's, or `make sass-tools` (PyPI).
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip sass: nvcc is not on this machine"
    exit 0
fi
build=${BUILD:-build}
kernels="fused_conv fused_gradient fused_up fused_weights"
PATH=$PATH:$build/sass-tools/nvidia/cu13/bin
command -v cuobjdump nvdisasm >/dev/null || make --no-print-directory BUILD="$build" sass-tools >/dev/null 2>&1
if ! command -v cuobjdump >/dev/null || ! command -v nvdisasm >/dev/null; then
    echo "skip sass: no cuobjdump and nvdisasm here, and PyPI cannot be reached"
    exit 0
fi
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
if ! make --no-print-directory BUILD="$build" $(printf "$build/cuda/kernels/cuda/%s.cu.o " $kernels) >"$work/log" 2>&1; then
    echo "not ok sass_build"
    tail -n 20 "$work/log"
    exit 1
fi

# Prints a line for each kernel of a listing with template argument ho_tf32 or ho_bf16 that lacks something.
lacking() {
    awk '/Function :/ { kernel = $3; if (kernel ~ /ho_(tf32|bf16)/) { seen[kernel] = 1 } }
         /HMMA\.1688\.F32\.TF32/ { tf32[kernel]++ }
         /HMMA\.16816\.F32\.BF16/ { bf16[kernel]++ }
         /LDGSTS\.[A-Z.]*128/ { copies[kernel]++ }
         / (LDL|STL)[. ]/ { local[kernel]++ }
         END { for (k in seen) {
                   n++
                   if (k ~ /ho_tf32/ && !tf32[k]) print k ": no HMMA.1688.F32.TF32"
                   if (k ~ /ho_bf16/ && !bf16[k]) print k ": no HMMA.16816.F32.BF16"
                   if (!copies[k]) print k ": no 16-byte LDGSTS"
                   if (local[k]) print k ": local memory"
               }
               if (n < 2) print "fewer than two kernels found" }' "$1"
}

for arch in $(sed -n 's/^CUDA_ARCHS ?= *//p' mk/cuda.mk); do
    for kernel in $kernels; do
        cuobjdump -sass -arch "sm_$arch" "$build/cuda/kernels/cuda/$kernel.cu.o" >"$work/sass" 2>&1
        message=$(lacking "$work/sass")
        if [ -z "$message" ]; then echo "ok sass_${kernel}_sm_$arch"; else echo "not ok sass_${kernel}_sm_$arch: $message"; fi
    done
done
# That it can fail: the last listing without its matrix instructions, and without its copies.
for lost in HMMA LDGSTS; do
    grep -v "$lost" "$work/sass" >"$work/less"
    if [ -n "$(lacking "$work/less")" ]; then echo "ok sass_without_$lost"; else echo "not ok sass_without_$lost: not noticed"; fi
done
