#!/usr/bin/env bash
# The simulator's own tests of memory, checks and scheduler once more with threads in other orders; make test has run them
# in the forward order.
cd "$(dirname "$0")/../.." || exit 1
log=$(mktemp) && trap 'rm -f "$log"' EXIT
for test in memory schedule; do
    for order in order=reverse order=random,seed=1 order=random,seed=2,slice=5 order=random,seed=3,preempt=0; do
        if GPUSIM=$order "${BUILD:-build}/gpusim/tests/test_$test" >"$log" 2>&1; then echo "ok $test $order"
        else echo "not ok $test $order: $(grep -E 'FAILED|rror' "$log" | head -n 5)"; fi
    done
done
