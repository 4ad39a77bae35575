#!/usr/bin/env bash
# The table of operations on the cpu target: its comparator, every kernel covered, the errors of one thread against
# tests/ledger.json, and every entry with several numbers of threads (fewer elements of each gradient: the truth is slow).
cd "$(dirname "$0")/../.." || exit 1
program=${BUILD:-build}/tests/optable-cpu
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
status=0
"$program" --self-test || status=1
python3 tests/optable/coverage.py "$program" || status=1
OMP_NUM_THREADS=1 "$program" --json "$work/result.json" || status=1
python3 tests/optable/ledger.py check "$work/result.json" || status=1
for threads in 2 3 7; do
    if OMP_NUM_THREADS=$threads "$program" --samples 16 >"$work/log" 2>&1; then
        echo "ok table_with_${threads}_threads: $(tail -n 1 "$work/log")"
    else
        echo "not ok table_with_${threads}_threads"
        grep '^not ok' "$work/log" | sed 's/^/# /'
        status=1
    fi
done
exit $status
