#!/usr/bin/env bash
# What the compiler says of the kernels: no spill for any architecture, and no kernel worse than experiments/ptxas/ptxas.json
# has it. That this can fail is shown with kernels made for it.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip ptxas_table: nvcc is not on this machine"
    exit 0
fi
build=${BUILD:-build}
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
report() { # name, status, text
    if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "not ok $1: $3"; fi
}
# The check on a table whose text a sed script changed, in which a finding that has the words $3 is expected.
notices() { # name, sed script, words
    sed -E "$2" experiments/ptxas/ptxas.json >"$work/table.json"
    if cmp -s "$work/table.json" experiments/ptxas/ptxas.json; then
        report "$1" 1 "the table was not changed"
    elif message=$(python3 experiments/ptxas/ptxas.py --build "$build" --check --table "$work/table.json"); then
        report "$1" 1 "nothing was found"
    else
        grep -q -- "$3.*make ptxas" <<<"$message"
        report "$1" $? "the message is: $message"
    fi
}

if ! make --no-print-directory -j"$(nproc)" BUILD="$build" ptxas-objects >"$work/log" 2>&1; then
    echo "not ok ptxas_objects"
    tail -n 20 "$work/log"
    exit 1
fi
if message=$(python3 experiments/ptxas/ptxas.py --build "$build" --check); then
    if [ -n "$message" ]; then echo "skip ptxas_table: $message"; exit 0; fi
    echo "ok ptxas_table"
else
    echo "not ok ptxas_table"
    echo "$message"
fi

notices ptxas_more_registers 's/"registers": [0-9]+/"registers": 8/' 'registers'
notices ptxas_less_occupancy 's/"(32|128|256)": 0\.[0-9]+/"\1": 1.0/' 'occupancy'
notices ptxas_more_stack 's/"stack": 3[0-9]+/"stack": 16/' 'stack'
notices ptxas_new_kernel 's/ vote_kernel"/ vote_kernel_of_old"/' 'a new kernel'
notices ptxas_kernel_gone 's/ vote_kernel"/ vote_kernel_of_old"/' 'no longer compiled'

# The build itself refuses a kernel that spills.
cat >"$work/spill.cu" <<'EOF'
extern "C" __global__ void __launch_bounds__(1024, 2) spill(float *x) {
    float v[64];
#pragma unroll
    for (int i = 0; i < 64; ++i) { v[i] = x[i * 1024 + threadIdx.x]; }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 64; ++i) { x[i * 1024 + threadIdx.x] = v[63 - i] * v[i]; }
}
EOF
message=$(make --no-print-directory BUILD="$work" VPATH="$work" Q= "$work/cuda/spill.cu.o" 2>&1) && message="it was compiled"
[[ $message == *spill* && $message == *error* ]]
report ptxas_spill_is_an_error $? "$message"
