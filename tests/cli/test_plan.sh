#!/bin/bash
# handsoff run --dry-run: writes nothing, names what is missing, and predicts the memory of each stage within 15 % of what the
# stage then takes in a process of its own (VmHWM, as metrics.json has it). Peaks do not depend on the number of steps, so that
# few are taken. PLAN_LOG=FILE keeps the comparison (experiments/plan).
set -u
repository=$(realpath "$(dirname "$0")/../..")
program=$(realpath "${HANDSOFF:-$repository/bin/handsoff}")
[ -x "$program" ] || { echo "test_plan: no program $program"; exit 1; }
work=$(mktemp -d /tmp/handsoff_plan_XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export OMP_WAIT_POLICY=passive # beside other busy programs, threads that spin take minutes
data=$(realpath -m "${HANDSOFF_TEST_DATA:-$repository/../shared/data}")
unset HANDSOFF_DATA
log=${PLAN_LOG:-$work/plan.log}
: >"$log"

check() { if eval "$2"; then echo "ok $1"; else echo "not ok $1: $(tail -n 3 out err 2>/dev/null | tr '\n' ' ')"; fi; }

# ---- what is printed
"$program" run "$repository/configs/toy_faces.yml" --dry-run >out 2>err
status=$?
check "a run that can start: status 0" "[ $status -eq 0 ]"
check "its stages and why" "grep -q '^import-data .*to run: runs/toy_faces/dataset.h5 does not exist yet' out && grep -q '^invert .*after import-data' out"
check "the last line is one for Slurm" "tail -n 1 out | grep -qE '^sbatch --cpus-per-task=2 --mem=[0-9]+[MG] --time=[0-9]+-[0-9:]{8} --wrap=.handsoff run .*toy_faces.yml.$'"
check "the line before says it in words" "tail -n 2 out | head -n 1 | grep -qE '^ask for: [0-9]+ [MG]B memory, 2 cores, .* disk$'"
"$program" run "$repository/configs/toy_faces.yml" --dry-run labelled=[4,8] --stages import-data >out 2>err
check "keys of the command line are in the command" "tail -n 1 out | grep -qF -- 'toy_faces.yml labelled=[4,8] --stages import-data'"
check "nothing is made" "[ -z \"\$(ls | grep -vxE 'err|out|plan.log')\" ]"
for config in faces_1024 cars_512 humans_1024x512 cityscapes_512; do
    "$program" run "$repository/configs/$config.yml" --dry-run --stages import-data,train-gan gan.batch=8 data.size=64 >out 2>err
    status=$?
    check "$config: what is missing, status 1" "[ $status -eq 1 ] && grep -q '^missing: data/' out && grep -q '^         from ' out && grep -q '^handsoff: .*missing' err"
done
"$program" run "$repository/configs/toy_faces.yml" --dry-run --stages train-head >out 2>err
status=$?
check "results of a stage that is left out are missing" "[ $status -eq 1 ] && grep -qE '^train-head .*is missing: run [a-z-]+ first' out"

# ---- predictions
few="name=m runs_dir=runs threads=2 encoder.steps=2 encoder.held_out=16 finetune.cap=2 invert.steps=3 head.max_steps=2
    head.check_every=1 generate.n=32 downstream.steps=2 downstream.seeds=0"
# compare CONFIG STAGES OVERRIDES...
compare() {
    local config=$repository/configs/$1.yml stages=$2 stage
    shift 2
    rm -rf runs
    for stage in $stages; do
        # shellcheck disable=SC2086
        "$program" run "$config" --dry-run --force --stages "$stage" $few "$@" >out 2>err
        # shellcheck disable=SC2086
        "$program" "$stage" "$config" $few "$@" >>out 2>err || { echo "not ok $stage: $(tail -n 1 err)"; return; }
        python3 - "$stage" "$(basename "$config" .yml)" <<'P' | tee -a "$log"
import json, re, sys
stage, config = sys.argv[1:]
unit = {"KB": 1 / 1024, "MB": 1, "GB": 1024}
row = [l for l in open("out") if re.match(stage + r" +[0-9.]+ [KMGT]B ", l)][0].split()
said = float(row[1]) * unit[row[2]]
real = [s for s in json.load(open("runs/m/metrics.json"))["stages"] if s["name"] == stage][0]["peak_rss_mb"]
off = said / real - 1
print(f"{'ok' if abs(off) <= 0.15 else 'not ok'} {config} {stage}: predicted {said:.0f} MB, measured {real:.0f} MB ({100 * off:+.1f} %)")
P
    done
}
all="import-data train-gan train-encoder finetune-encoder invert train-head generate train-downstream evaluate report"
compare toy_faces "$all" data.n_train=16 data.n_test=16
if [ -d "$data/car-parts" ] && [ -d "$data/stanford-cars" ]; then
    export HANDSOFF_DATA=$data
    compare car_parts_32 "import-data train-gan train-encoder invert" data.limit=64 gan.kimg=0.032 labelled=16 \
        perceptual.weights=data/pretext/vgg_narrow.h5 invert.start=mean invert.batch=8
else
    echo "skip car_parts_32: no photos below $data"
fi
