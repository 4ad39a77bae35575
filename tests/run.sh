#!/usr/bin/env bash
# Runs the test programs and scripts named as arguments and closes with "N passed, N failed, N skipped".
# A program (cmocka) is counted test by test; one that crashes or runs no test counts as a failure. A script (*.sh, *.py)
# prints lines "ok NAME", "not ok NAME" or "skip NAME: why" and is counted by them.
set -u
export HANDSOFF_DEVICE=cpu # the tests of the cuda target choose it themselves
passed=0 failed=0 skipped=0
log=$(mktemp) && trap 'rm -f "$log"' EXIT

# Debian's Python has the packages that `make deps` installs; an active conda environment has its own.
python=/usr/bin/python3
[ -z "${CONDA_PREFIX:-}" ] && [ -x "$python" ] || python=python3
count() { grep -c -E "$1" "$log"; }
for test in "$@"; do
    start=$(date +%s.%N)
    case $test in
    *.sh) bash "$test" >"$log" 2>&1 ;;
    *.py) "$python" "$test" >"$log" 2>&1 ;;
    *) CMOCKA_MESSAGE_OUTPUT=STDOUT "$test" >"$log" 2>&1 ;;
    esac
    status=$?
    case $test in
    *.sh | *.py) p=$(count '^ok ') f=$(count '^not ok ') s=$(count '^skip ') ;;
    *)  # the closing list repeats each failed or skipped name: count distinct names
        p=$(count '^\[       OK \]')
        f=$(grep -E '^\[  FAILED  \] [A-Za-z_0-9]+$' "$log" | sort -u | wc -l)
        s=$(grep -E '^\[  SKIPPED \] [A-Za-z_0-9]+$' "$log" | sort -u | wc -l) ;;
    esac
    # A crash is a failure of its own; a status that no failed test explains, too.
    if [ "$status" -ge 128 ] || { [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; }; then
        f=$((f + 1))
        echo "ended with status $status" >>"$log"
    fi
    if [ $((p + f + s)) -eq 0 ]; then
        f=1
        echo "no test was run" >>"$log"
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-50s %3d passed, %d failed, %d skipped  %5.1f s\n' "${test#./}" "$p" "$f" "$s" \
        "$(echo "$(date +%s.%N) - $start" | bc)"
    if [ "$f" -ne 0 ]; then
        grep -v -E '^(\[ (RUN|      OK)|ok )' "$log" | tail -n 40 | cut -c 1-1000
    fi
    grep -E '^(skip .*|\[  SKIPPED \] [A-Za-z_0-9]+)$' "$log" | sort -u | sed 's/^/    /'
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
