#!/usr/bin/env bash
# run.sh FOLDER SECONDS JOBS NAME...: each fuzz target of FOLDER (mk/fuzz.mk) for its share of SECONDS, JOBS at a time, from
# its seeds and from what was found before (regress/NAME). With FUZZ_CLOCK=processor the seconds are those of the
# processor, in rounds of a minute that keep their corpus; else those on the clock. Prints "ok" or "not ok" a target; its
# log is FOLDER/NAME.log, a finding FOLDER/NAME.crash-*.
fuzz=$(cd "$1" && pwd) seconds=$2 jobs=$3
here=$(cd "$(dirname "$0")" && pwd)
shift 3
share=$((seconds / $#))
[ "$share" -gt 0 ] || share=1
space=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" handsoff_fuzz.XXXXXX)
trap 'rm -rf "$space"' EXIT
TIMEFORMAT='%U %S'

# spent NAME: user and system seconds of all rounds, rounded down.
spent() { awk '{ s += $1 + $2 } END { printf "%d", s }' "$space/$1/times" 2>/dev/null; }
runs() { awk '/^stat::number_of_executed_units/ { s += $2 } END { printf "%d", s }' "$fuzz/$1.log"; }

round() {
    local found=()
    [ -d "$here/regress/$1" ] && found=("$here/regress/$1")
    { time UBSAN_OPTIONS=print_stacktrace=1 "$fuzz/fuzz_$1" -max_total_time="$2" -rss_limit_mb=2048 -timeout=60 -max_len=131072 \
        -print_final_stats=1 -artifact_prefix="$fuzz/$1." corpus "$fuzz/seeds/$1" "${found[@]}" >>"$fuzz/$1.log" 2>&1; } 2>>times
}
one() {
    mkdir -p "$space/$1/corpus" && cd "$space/$1" || exit 1
    # What the HDF5 library loses when it refuses a file is not ours.
    [ "$1" = hdf5_bytes ] && export ASAN_OPTIONS=detect_leaks=0
    : >"$fuzz/$1.log"
    if [ "${FUZZ_CLOCK:-}" != processor ]; then
        round "$1" "$share"
    else
        while round "$1" 60 && [ "$(spent "$1")" -lt "$share" ]; do :; done
    fi
    if grep -q '^stat::number' "$fuzz/$1.log" && ! grep -q -E 'ERROR: |runtime error' "$fuzz/$1.log"; then
        echo "ok fuzz $1: $(runs "$1") runs in $(spent "$1") s of processor, ASan and UBSan"
    else
        grep -v -E '^#[0-9]+\s+(NEW|REDUCE|RELOAD)' "$fuzz/$1.log" | tail -n 40 | cut -c 1-300
        echo "not ok fuzz $1: its input is in $fuzz/$1.crash-* (oom-*, timeout-*)"
    fi
}
for name in "$@"; do
    while [ "$(jobs -r | wc -l)" -ge "$jobs" ]; do wait -n; done
    one "$name" &
done
wait
