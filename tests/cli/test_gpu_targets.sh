#!/usr/bin/env bash
# make test-gpu and make bench-gpu (experiments/gpu): what they say without a GPU, their tables and comparisons, and the
# quick form of their rehearsals on the simulator. Every launcher of kernels/ has its benchmark.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip gpu_targets: nvcc is not on this machine"
    exit 0
fi
export BUILD=${BUILD:-build}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
pass() { echo "ok $1"; }
fail() { echo "not ok $1: $2"; }
make() { command make --no-print-directory BUILD="$BUILD" "$@"; }

for target in test-gpu bench-gpu; do
    if ls /dev/nvidia[0-9]* /dev/dxg >/dev/null 2>&1; then echo "skip $target without a GPU: this machine has one"
    elif make $target >"$work/out" 2>&1; then fail "$target without a GPU" "status 0"
    elif [ "$(grep -vc '^make' "$work/out")" -eq 1 ] && grep -q "^no usable GPU here: .*; 'make $target GPU=sim' rehearses" "$work/out"; then
        pass "$target without a GPU"
    else fail "$target without a GPU" "$(cat "$work/out")"; fi
done

# The kernel benchmark on the cpu: the same sources, every launcher of kernels/*.h among them.
if ! make "$BUILD/gpu/kernels-cpu" "$BUILD/gpu/kernels-cuda" >"$work/out" 2>&1; then fail "kernel benchmark builds" "$(tail -n 5 "$work/out")"; fi
measured() { "$1" --list | sed 's/:.*//' | sort -u; }
launchers() { grep -ohE '^ho_status ho_k_[a-z_]+' "$@" | sed 's/ho_status //' | sort -u; }
missing=$(comm -3 <(measured "$BUILD/gpu/kernels-cpu") <(launchers kernels/*.h))
[ -z "$missing" ] && pass "every launcher has a benchmark" || fail "every launcher has a benchmark" "$missing"
missing=$(comm -3 <(measured "$BUILD/gpu/kernels-cuda") <(launchers kernels/*.h kernels/cuda/*.h))
[ -z "$missing" ] && pass "every launcher of cuda has a benchmark" || fail "every launcher of cuda has a benchmark" "$missing"
"$BUILD/gpu/kernels-cpu" --size tiny >"$work/k.jsonl" 2>"$work/err"
status=$?
wanted=$("$BUILD/gpu/kernels-cpu" --list | wc -l)
if [ $status -eq 0 ] && [ "$(grep -c roofline_fraction "$work/k.jsonl")" -eq "$wanted" ]; then pass "kernel benchmark runs"
else fail "kernel benchmark runs" "status $status, $(tail -n 3 "$work/err")"; fi
if python3 experiments/gpu/table.py "$work/k.jsonl" >"$work/table" && [ "$(grep -c '^| ho_k_' "$work/table")" -eq "$wanted" ]; then pass "table"
else fail "table" "$(tail -n 3 "$work/table")"; fi

if ! command make -n "$BUILD/gpusim/lib/libcudnn.so.9" BUILD="$BUILD" >/dev/null 2>&1; then
    echo "skip rehearsals: the simulator is not in this tree"
    exit 0
fi
for target in test-gpu bench-gpu; do
    make $target GPU=sim QUICK=1 >"$work/out" 2>&1
    status=$?
    if [ $status -eq 0 ] && grep -qE '^[1-9][0-9]* passed, 0 failed, [0-9]+ skipped; log: ' "$work/out" && grep -q '^SIMULATED' "$work/out"; then
        pass "$target rehearsed"
    else fail "$target rehearsed" "status $status: $(grep -E 'not ok|rror' "$work/out" | head -n 8)"; fi
    # Nothing that a simulator ran may look like a measurement.
    if grep -qE '"(seconds|median_s|GB_s|GFLOP_s|gflops)"' "$BUILD"/gpu/rehearsal/*.jsonl 2>/dev/null; then
        fail "$target: no speeds" "$(grep -hE '"(seconds|median_s|GB_s)"' "$BUILD"/gpu/rehearsal/*.jsonl | head -n 1)"
    else pass "$target: no speeds"; fi
done
