#!/usr/bin/env bash
# The table of operations on the cuda target. With GPU=sim on the simulator: as launched, where every kernel must have been
# launched and the errors are compared with tests/ledger.json; one small block, so that every loop goes round often; two
# blocks of two warps, whose barriers matter; wide blocks, backwards, some of them too many; threads in random order; the
# cases beyond 2^31 elements. OPTABLE_WIDTHS="64 128 ..." adds block widths. On a GPU: as launched.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build} program=${BUILD:-build}/tests/optable-cuda
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
status=0
if [ "${GPU:-}" != sim ]; then
    exec "$program"
fi
export LD_LIBRARY_PATH=$build/gpusim/lib
run() { # name, options of the simulator, the program's arguments; passes with no failed case, report or case not run
    env GPUSIM="$2" "$program" "${@:3}" >"$work/log" 2>&1
    local ended=$? count=$(grep -E '[0-9]+ passed, 0 failed, 0 not run$' "$work/log")
    if [ "$ended" -eq 0 ] && [ -n "$count" ] && grep -q '^gpusim: .* 0 reports$' "$work/log"; then
        echo "ok table_$1: $count"
        return
    fi
    echo "not ok table_$1: status $ended"
    grep -E '^not ok|^skip|^gpusim' "$work/log" | sed 's/^/# /'
    status=1
}
run as_launched "order=forward,report=$work/report.json" --json "$work/result.json"
python3 tests/optable/coverage.py "$program" "$work/report.json" || status=1
python3 tests/optable/ledger.py check "$work/result.json" || status=1
run small_blocks "order=forward,block=32,grid=1" --any-width --samples 16
run two_warps "order=forward,block=64,grid=2" --any-width --samples 16
run wide_blocks_backwards "order=reverse,block=1024,more_blocks=3" --any-width --samples 16
run random_order "order=random,seed=${SEED:-1}" --any-width --samples 16
# Kernels of one width are slow here: the operations, and the kernel that fetches one tile while it multiplies another.
fused="modconv_fused_smooth modconv_fused_bf16"
run tensor_cores_backwards "order=reverse" --samples 16 $fused
run tensor_cores_random_order "order=random,seed=${SEED:-1}" --samples 16 $fused fused_weights_exact
# A process each: the simulator's addresses are not endless.
for name in $("$program" --huge --list 2>/dev/null | cut -d: -f1); do
    run "huge_$name" "edge_blocks=1,memory=200000,protect=0" --huge "$name"
done
for width in ${OPTABLE_WIDTHS:-}; do
    run "blocks_of_$width" "order=reverse,block=$width" --samples 16
done
exit $status
