# Sourced by test_gpu.sh and bench_gpu.sh: steps that are bounded in time, logged and counted. From make: BUILD, GPU (sim:
# the simulator), SIM_LIB, CUDA_HOME, QUICK (the rehearsal's short form).
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
BUILD=${BUILD:-build} GPU=${GPU:-} QUICK=${QUICK:-}
python=/usr/bin/python3
[ -z "${CONDA_PREFIX:-}" ] && [ -x "$python" ] || python=python3
passed=0 failed=0 skipped=0
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
if [ "$GPU" = sim ]; then simulated=1; else simulated=; fi

# One line and the end where there is nothing to run on. The device files are asked for first: no build is needed for that.
need_gpu() {
    local why
    if [ -n "$simulated" ]; then
        export LD_LIBRARY_PATH="$SIM_LIB" GPUSIM="${GPUSIM:-}"
        return
    fi
    if ! ls /dev/nvidia[0-9]* /dev/dxg /dev/nvhost-gpu >/dev/null 2>&1; then why="no NVIDIA device file in /dev"
    elif ! command -v nvcc >/dev/null; then why="nvcc is not on PATH, and the cuda target is compiled here"
    elif [ -x bin/handsoff ] && ! bin/handsoff info --device | grep -q '^cuda 0'; then
        why=$(bin/handsoff info --device | sed -n 's/^cuda: none: //p')
    else return; fi
    echo "no usable GPU here: $why; 'make $1 GPU=sim' rehearses on the simulator" >&2
    exit 1
}

# begin NAME SECONDS: the log, and the time that all steps have together.
begin() {
    deadline=$(($(date +%s) + $2))
    stamp=$(hostname -s)_$(date +%Y%m%d-%H%M)
    results=experiments/gpu
    if [ -n "$simulated" ]; then results=$BUILD/gpu/rehearsal stamp=simulated; fi
    mkdir -p "$results"
    log=$results/$1_$stamp.log
    : >"$log"
    say "$1, $(date -u '+%Y-%m-%d %H:%M UTC'), commit $(git describe --always --dirty 2>/dev/null || echo unknown)"
    if [ -n "$simulated" ]; then say "SIMULATED: no GPU takes part, no time below is a speed"; fi
}
say() { echo "$*" | tee -a "$log"; }
left() { echo $((deadline - $(date +%s))); }

# bounded NAME SECONDS COMMAND...: its output to $work/out and the log. Status 124: out of time.
bounded() {
    local name=$1 limit=$2 status
    shift 2
    [ "$limit" -le "$(left)" ] || limit=$(left)
    printf '\n==== %s: %s\n' "$name" "$*" >>"$log"
    if [ "$limit" -lt 2 ]; then echo "no time left" >"$work/out"; status=124
    else timeout -k 5 "$limit" "$@" >"$work/out" 2>&1; status=$?; fi
    cat "$work/out" >>"$log"
    echo "==== status $status" >>"$log"
    return $status
}
pass() { passed=$((passed + 1)); say "ok $1"; }
skip() { skipped=$((skipped + 1)); say "skip $1: $2"; }
fail() { failed=$((failed + 1)); say "not ok $1: $2"; }
why() {
    if [ "$1" -eq 124 ] || [ "$1" -eq 137 ]; then echo "out of time"
    else echo "status $1: $(grep -v '^$' "$work/out" | tail -n 1 | cut -c 1-200)"; fi
}

# One step that passes or fails by its status.
step() {
    local name=$1 start=$SECONDS
    if bounded "$@"; then pass "$name ($((SECONDS - start)) s)"; else fail "$name" "$(why $?)"; fi
}
# The same for commands that print lines "ok X", "not ok X", "skip X: why" (all shown), or close with "N passed, N failed, N skipped" or "not run".
counted() {
    local name=$1 start=$SECONDS status p f s
    bounded "$@"
    status=$?
    if grep -qE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ (skipped|not run)$' "$work/out"; then
        grep -E '^not ok ' "$work/out" | cut -c 1-250
        read -r p f s < <(grep -E '^[0-9]+ passed, ' "$work/out" | tail -n 1 | sed 's/[a-z,]//g')
    else
        p=$(grep -c '^ok ' "$work/out") f=$(grep -c '^not ok ' "$work/out") s=$(grep -c '^skip ' "$work/out")
        grep -E '^(not ok|skip) ' "$work/out" | cut -c 1-250
    fi
    if [ "$status" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; echo "not ok $name: $(why "$status")" | tee -a "$log"; fi
    if [ $((p + f + s)) -eq 0 ]; then f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    say "$name: $p passed, $f failed, $s skipped ($((SECONDS - start)) s)"
}
# What the machine is: the first thing that somebody who reads the log wants to know.
facts() {
    bounded "compiler" 10 nvcc --version
    [ -z "$simulated" ] && bounded "driver" 20 sh -c \
        'nvidia-smi -q | grep -E "Driver Version|CUDA Version|Product Name|Product Architecture|Total  |MIG Mode|Compute Mode|Current ECC|SM  |Power Limit" | head -n 60'
    bounded "host" 10 sh -c 'uname -srm; grep -m1 "model name" /proc/cpuinfo; nproc; cat /proc/loadavg'
    bounded "devices" 60 bin/handsoff info --device
    cat "$work/out"
}
finish() {
    say "$passed passed, $failed failed, $skipped skipped; log: $log"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
