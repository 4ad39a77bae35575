#!/usr/bin/env bash
# The cuda target compiles without a warning for every architecture of mk/cuda.mk and links; where no GPU can be used the
# program says so in one line and computes on the cpu, or ends with a message when cuda was asked for.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip cuda_compiles: nvcc is not on this machine"
    exit 0
fi
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
unset HANDSOFF_DEVICE
pass() { echo "ok $1"; }
fail() { echo "not ok $1: $2"; }

if make --no-print-directory ${BUILD:+BUILD="$BUILD"} -j"$(nproc)" bin/handsoff cuda >"$work/log" 2>&1; then
    pass cuda_compiles
else
    fail cuda_compiles "$(tail -n 20 "$work/log")"
    exit 1
fi
if [ -e /dev/nvidia0 ]; then
    echo "skip cuda_without_gpu: this machine has a GPU"
    exit 0
fi

synth=(synth --weights data/toy_faces/generator.h5 --seeds 0 --out)
# NAME LINE [COMMAND BEFORE]: without a word about devices, and with --device cuda.
without() {
    local name=$1 line=$2
    shift 2
    rm -rf "$work/auto"
    "$@" bin/handsoff "${synth[@]}" "$work/auto" >"$work/out" 2>"$work/err"
    local status=$?
    if [ $status -eq 0 ] && cmp -s "$work/auto/seed0000.png" "$work/cpu/seed0000.png" &&
        [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q "^handsoff: computing on the cpu: $line" "$work/err"; then
        pass "$name"
    else fail "$name" "status $status, $(cat "$work/err")"; fi
    "$@" bin/handsoff "${synth[@]}" "$work/cuda" --device cuda >"$work/out" 2>"$work/err"
    status=$?
    if [ $status -eq 1 ] && [ ! -e "$work/cuda" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
        grep -q "^handsoff: --device cuda: $line" "$work/err"; then
        pass "$name, cuda asked for"
    else fail "$name, cuda asked for" "status $status, $(cat "$work/err")"; fi
    if "$@" bin/handsoff info --device >"$work/out" 2>&1 && grep -q '^cpu: [0-9]* threads, ' "$work/out" &&
        grep -q "^cuda: none: $line" "$work/out"; then
        pass "$name, info --device"
    else fail "$name, info --device" "$(cat "$work/out")"; fi
}
bin/handsoff "${synth[@]}" "$work/cpu" --device cpu || fail "cpu asked for" "status $?"
without "no driver" 'no NVIDIA driver (libcuda.so.1'

# A file of the driver's name, so that the program goes on to the CUDA libraries, and they find no driver in it.
mkdir "$work/driver" "$work/empty"
gcc -shared -o "$work/driver/libcuda.so.1" -x c /dev/null
without "no GPU" 'no usable GPU: ' env LD_LIBRARY_PATH="$work/driver"
library=$(ldd bin/handsoff-cuda.so | awk '/libcudart/ {print $3}')
hide() { unshare -rm env LD_LIBRARY_PATH="$work/driver" sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' \
    "$work/empty" "$(dirname "$library")" "$@"; }
if hide true 2>/dev/null; then without "no CUDA libraries" 'the cuda target does not load (lib' hide
else echo "skip no CUDA libraries: nothing can be mounted over $(dirname "$library") here"; fi

if bin/handsoff "${synth[@]}" "$work/cuda" --device gpu 2>"$work/err" || [ $? -ne 2 ]; then fail "unknown device" "$(cat "$work/err")"
elif grep -q "^handsoff: --device: expected auto, cpu or cuda, found 'gpu'" "$work/err"; then pass "unknown device"
else fail "unknown device" "$(cat "$work/err")"; fi
