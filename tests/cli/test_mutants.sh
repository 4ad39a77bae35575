#!/usr/bin/env bash
# The mutation tool itself: three changes that must be killed, one that changes nothing and must survive, and what
# survivors.json may and may not say (tests/gpusim/mutants). `make mutants` runs the kernels' mutants.
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip mutants: nvcc is not on this machine"
    exit 0
fi
build=${BUILD:-build} work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
if ! make --no-print-directory -j"$(nproc)" BUILD="$build" GPU=sim optable-cuda >"$work/log" 2>&1; then
    echo "not ok mutants: the table of operations was not built"
    tail -n 20 "$work/log"
    exit 1
fi
mutate="python3 tests/gpusim/mutants/mutate.py --build $build --out $work --reasons $work/survivors.json --all"
listed() { # kernel, kind, pattern: the last such mutant
    $mutate --list --kernel "$1" --kind "$2" | grep -E "$3" | tail -n 1 | cut -d' ' -f1
}
barrier=$(listed total_sum barrier 'bar.sync')        # before the partial sums of the warps are read
sign=$(listed lerp_kernel sign 'fma')                 # to + t (from - to)
index=$(listed fill_kernel index 'st.global.*\+4')    # one element too far
equal=$(listed normalize compare 'normalize style.*setp.ne.s32.*, 0;') # every lane of a warp, not one, writes the same sum
gone=000000000000
check() { # name, what was wrong
    if [ -z "$2" ]; then
        echo "ok mutants_$1"
    else
        echo "not ok mutants_$1: $2"
        sed 's/^/# /' "$work/log" | tail -n 12
    fi
}
run() { # explained mutants ...; the exit status in $status
    local texts=""
    for key in "$@"; do texts="$texts${texts:+, }\"$key\""; done
    echo "[{\"why\": \"because\", \"mutants\": [$texts]}]" >"$work/survivors.json"
    $mutate --keys "$barrier,$sign,$index,$equal" --cases sum,lerp,fill,normalize_z >"$work/log" 2>&1
    status=$?
}
verdict() { # mutant, verdict, how
    grep -qE "\"key\": \"$1\".*\"verdict\": \"$2\".*\"how\": \"[^\"]*$3" "$work/results.jsonl" || echo "$1 is not $2 ($3)"
}
run
check unexplained_survivor_fails "$([ $status -eq 1 ] && grep -q "^not explained: $equal" "$work/log" || echo "status $status")"
check dropped_barrier_is_a_race "$(verdict "$barrier" killed race)"
check sign_gives_wrong_numbers "$(verdict "$sign" killed 'status 1')"
check index_is_out_of_bounds "$(verdict "$index" killed out-of-bounds)"
check equal_program_survives "$(verdict "$equal" survived 'runs pass')"
run "$equal"
check explained_survivor_passes "$([ $status -eq 0 ] || echo "status $status")"
check results_are_kept "$(grep -q 'mutants run in' "$work/log" && echo "mutants were run again")"
run "$equal" "$sign"
check explained_but_killed_fails "$([ $status -eq 1 ] && grep -q "explains $sign, which is killed" "$work/log" || echo "status $status")"
run "$equal" "$gone"
check explained_but_gone_fails "$([ $status -eq 1 ] && grep -q "explains $gone, and there is no such" "$work/log" || echo "status $status")"
