#!/usr/bin/env bash
# The table of operations on the cuda target: on a GPU, or with GPU=sim on the simulator, where every kernel must have been
# launched, every block width must do, and the errors are compared with tests/ledger.json.
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build} program=${BUILD:-build}/tests/optable-cuda
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
status=0
if [ "${GPU:-}" != sim ]; then
    exec "$program"
fi
export LD_LIBRARY_PATH=$build/gpusim/lib
sim() { # options of the simulator, then the program's arguments
    env GPUSIM="$1" "$program" "${@:2}"
}
sim "order=forward,report=$work/report.json" --json "$work/result.json" || status=1
python3 tests/optable/coverage.py "$program" "$work/report.json" || status=1
python3 tests/optable/ledger.py check "$work/result.json" || status=1
for width in ${OPTABLE_WIDTHS:-32 64 128 512 1024}; do
    if sim "order=reverse,block=$width" --any-width >"$work/log" 2>&1; then
        echo "ok table_with_blocks_of_$width: $(grep ' not run$' "$work/log")"
    else
        echo "not ok table_with_blocks_of_$width"
        grep -E '^not ok|^gpusim' "$work/log" | sed 's/^/# /'
        status=1
    fi
done
exit $status
