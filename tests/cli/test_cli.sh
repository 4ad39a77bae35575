#!/bin/bash
# The command line: exit status and message of good and bad commands. Usage: test_cli.sh PATH/TO/handsoff
# A case fails on a wrong exit status, a missing part of the message, an error of other than one line, or text on stdout
# beside an error. Prints 'ok', 'not ok' or 'skip' and the command for each case.
set -u
program=$(realpath "${1:-bin/handsoff}")
repository=$(realpath "$(dirname "$0")/../..")
[ -x "$program" ] || { echo "test_cli: no program $program"; exit 1; }
work=$(mktemp -d /tmp/handsoff_cli_XXXXXX)
# The folder may hold sub-folders that were made read-only.
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work" || exit 1
unset HANDSOFF_DATA
passed=0 failed=0 skipped=0

pass() { passed=$((passed + 1)); echo "ok ${1:-}"; }
fail() { failed=$((failed + 1)); echo "not ok $*"; }
skip() { skipped=$((skipped + 1)); echo "skip $*"; }

# good REGEX ARGUMENTS...: status 0, and stdout or stderr matches.
good() {
    local want=$1; shift
    "$program" "$@" >out 2>err
    local status=$?
    if [ $status -ne 0 ]; then fail "handsoff $*: status $status: $(cat err)"
    elif ! cat out err | grep -qE -e "$want"; then fail "handsoff $*: no '$want' in: $(head -c 2000 out err)"
    else pass "handsoff $*"; fi
}

# bad STATUS REGEX ARGUMENTS...: that status; the last line of stderr is the error and matches; it is the only error.
bad() {
    local status=$1 want=$2; shift 2
    "$program" "$@" >out 2>err </dev/null
    local got=$?
    if [ $got -ne "$status" ]; then fail "handsoff $*: status $got, wanted $status: $(cat err)"
    elif [ "$(grep -c '^handsoff: ' err)" -ne 1 ]; then fail "handsoff $*: not one error message: $(cat err)"
    elif ! tail -n 1 err | grep -qE -e "^handsoff: .*($want)"; then fail "handsoff $*: no '$want' in: $(cat err)"
    elif [ -s out ]; then fail "handsoff $*: text on stdout beside the error: $(head -c 500 out)"
    else pass "handsoff $*"; fi
}

cat >ok.yml <<'Y'
name: cli
seed: 3
labelled: 4
data: {format: toy_faces, size: 16, n_train: 4, n_test: 4}
gan: {kimg: 0, z_dim: 16, w_dim: 16, channel_base: 64, channel_max: 8, mapping_layers: 2, batch: 4}
Y
config() { printf '%b' "$1" >bad.yml; }

# ---- help and version
good '^handsoff [0-9]+\.[0-9]+' --version
good 'handsoff synth' help
good 'handsoff run' --help
good '75 interrupted' help
good 'integer, 1 to 4096' help config
good '^gan\.lr .*0\.0025' help config
good 'measures the segmentation networks on the test images' help evaluate
for command in run import-data train-gan train-encoder finetune-encoder invert train-head generate train-downstream \
    evaluate report synth lpips import-weights export-weights export-data info help; do
    good "^handsoff $command " help $command
    good "^handsoff $command " $command --help
done

# ---- wrong command lines
bad 2 "no command given"
bad 2 "unknown command 'rnu', did you mean 'run'" rnu ok.yml
bad 2 "unknown command 'train_gan', did you mean 'train-gan'" train_gan ok.yml
bad 2 "unknown command 'frobnicate'; 'handsoff help'" frobnicate
bad 2 "unknown command ''" ''
bad 2 "unknown command 'sinth', did you mean 'synth'" help sinth
bad 2 "one command at most" help run synth
bad 2 "run: the config file is missing; usage: handsoff run" run
bad 2 "invert: the config file is missing" invert
bad 2 "unknown option '--froce', did you mean '--force'" run ok.yml --froce
bad 2 "unknown option '--stages'" invert ok.yml --stages invert
bad 2 "--stages needs a value" run ok.yml --stages
bad 2 "--stages is given a second time" run ok.yml --stages invert --stages report
bad 2 "--force takes no value" run ok.yml --force=yes
bad 2 "unknown stage 'traingan', did you mean 'train-gan'" run ok.yml --stages traingan
bad 2 "empty stage name in 'invert,,report'" run ok.yml --stages invert,,report
bad 2 "empty stage name in ',report'" run ok.yml --stages ,report
bad 2 "empty stage name in 'report,'" run ok.yml --stages report,
bad 2 "argument 'gan=3': gan is a group of keys: expected a key of it, such as gan.weights=" run ok.yml gan=3
bad 2 "argument 'gan.lr': expected key=value" run ok.yml gan.lr
bad 2 "nothing may follow" --version now

# ---- wrong configs
bad 1 "cannot open config file none.yml: No such file" run none.yml
bad 1 "cannot read config file \.: Is a directory" run .
bad 2 "argument 'gan.lrr=1': unknown key 'gan.lrr', did you mean 'gan.lr'" run ok.yml gan.lrr=1
bad 2 "argument 'gan.batch=0': gan.batch: 0 is out of range, allowed is 1 to 4096" run ok.yml gan.batch=0
config 'name: a\ngan:\n  btach: 3\n'
bad 2 "bad.yml:3: unknown key 'gan.btach', did you mean 'gan.batch'" run bad.yml
config 'name: a\ngan:\n  lr: 3\n'
bad 2 "bad.yml:3: gan.lr: 3 is out of range, allowed is 0 to 1" run bad.yml
config 'name: a\ndata:\n  size: 20\n'
bad 2 "bad.yml:3: data.size: 20 is not one of 8.16.32.64" import-data bad.yml
config 'name: a\ngan: {lr: 0.1s}\n'
bad 2 "bad.yml:2: gan.lr: 's' follows the number" run bad.yml
config 'name: a\nname: b\n'
bad 2 "bad.yml:2: name is given a second time" run bad.yml
config 'gan:\n\tlr: 0.1\n'
bad 2 "bad.yml:2:.*not YAML.*tab" run bad.yml
config ''
bad 2 "bad.yml: the file is empty" run bad.yml
config '- a\n'
bad 2 "bad.yml:1: expected a map" run bad.yml
config 'name: [\n'
bad 2 "bad.yml:.*not YAML" run bad.yml
head -c 3000 /dev/urandom >noise.yml
bad 2 "noise.yml" run noise.yml
bad 2 "ok.yml: labelled lists 4 twice" run ok.yml labelled=4,2,4
bad 2 "ok.yml: downstream.seeds lists 0 twice" run ok.yml downstream.seeds=0,0
bad 2 "name: '\.\./x' cannot name a folder" run ok.yml name=../x
bad 1 "cannot make folder ok.yml: a file of this name is in the way" run ok.yml runs_dir=ok.yml
if [ "$(id -u)" -ne 0 ]; then
    mkdir closed && chmod a-w closed
    bad 1 "cannot make folder closed/cli: Permission denied" run ok.yml runs_dir=closed
else
    bad 1 "cannot make folder /proc/cli" run ok.yml runs_dir=/proc
fi

# ---- what is known to fail is said before anything runs
bad 2 "argument 'head.batch=1': head.batch: 1 is out of range, allowed is 2" run ok.yml head.batch=1
bad 2 "argument 'labelled=7': labelled: 7 images are asked for, data.n_train makes 4" run ok.yml labelled=7
bad 2 "argument 'head.hidden=5': head.hidden: found 1 widths; right are two" import-data ok.yml head.hidden=5
bad 2 "argument 'head.blocks=0,6': head.blocks: 6 as entry 2; .* 0 to 5 at data.size 16" run ok.yml head.blocks=0,6
bad 2 "ok.yml:5: gan.batch: 4 is no multiple of gan.mbstd_group, 3" run ok.yml gan.mbstd_group=3
bad 1 "argument 'gan.init=ok.yml': gan.init: ok.yml is not an HDF5 file" run ok.yml gan.init=ok.yml
bad 1 "gan.init: none.h5: No such file" run ok.yml gan.init=none.h5 --stages import-data,train-gan
if [ -e runs/cli/dataset.h5 ]; then fail "import-data ran before the mistakes were told"; else pass "nothing ran"; fi
bad 1 "gan.weights: none.h5: No such file" run ok.yml gan.weights=none.h5
# not in this folder, but beside the program's
good 'train-gan: done' run ok.yml name=beside data.size=64 gan.weights=data/toy_faces/generator.h5 \
    --stages import-data,train-gan
bad 1 "perceptual.weights: none.h5: No such file" run ok.yml perceptual.weights=none.h5

# ---- missing inputs, records, damaged files
bad 1 "train-gan: runs/cli/dataset.h5 is missing: run import-data first" train-gan ok.yml
bad 1 "is missing: run" train-encoder ok.yml
bad 1 "is missing: run" report ok.yml --force
good 'import-data: runs/cli/dataset.h5 does not exist yet' import-data ok.yml
good 'import-data: up to date' import-data ok.yml
good 'import-data: up to date' run ok.yml --stages import-data
good 'import-data: config changed: data.n_test was .4., is .5.' import-data ok.yml data.n_test=5
good 'import-data: forced' import-data ok.yml --force data.n_test=5
good 'import-data: config changed' import-data ok.yml
if grep -q '"name": "import-data"' runs/cli/metrics.json; then pass "metrics.json names the stage"; else fail "metrics.json lacks import-data"; fi
good 'test/image +u8 +\(4, 16, 16, 3\)' info runs/cli/dataset.h5
good '^  stage +import-data' info runs/cli/dataset.h5
good 'data.n_test: 4' info runs/cli/dataset.h5
size=$(stat -c %s runs/cli/dataset.h5)
head -c $((size / 2)) runs/cli/dataset.h5 >cut.h5
: >empty.h5
bad 1 "cut.h5: .*incomplete or damaged" info cut.h5
bad 1 "empty.h5 is empty" info empty.h5
bad 1 "ok.yml is not an HDF5 file" info ok.yml
bad 1 "none.h5: .*No such file" info none.h5
bad 2 "expected one file, found 2" info cut.h5 empty.h5
bad 2 "expected one file, found 0" info
cp cut.h5 runs/cli/dataset.h5
bad 1 "cli/dataset.h5" train-gan ok.yml
bad 1 "report: dataset.h5 left out: .*incomplete or damaged" report ok.yml
if [ -s runs/cli/report/index.html ]; then pass "a page without the damaged file"; else fail "no page without the damaged file"; fi
good 'import-data: .*dataset.h5' import-data ok.yml
printf '{"stages": [' >runs/cli/metrics.json
bad 1 "runs/cli/metrics.json:1: .*move the file away" import-data ok.yml
bad 1 "report: table of results left out: .*metrics.json: .*move the file away" report ok.yml
rm runs/cli/metrics.json

# ---- synth
good 'train-gan: ' train-gan ok.yml
G=runs/cli/generator.h5
bad 2 "synth: --weights is missing; usage: handsoff synth" synth --seeds 1 --out d
bad 2 "synth: --out is missing" synth --weights $G --seeds 1
bad 2 "unexpected 'more'" synth --weights $G --seeds 1 --out d more
bad 2 "--seeds: expected numbers and ranges such as 0-3,7, found 'x'" synth --weights $G --seeds x --out d
bad 2 "--seeds: .* found '' in '1,'" synth --weights $G --seeds 1, --out d
bad 2 "--seeds: 'a' follows a seed" synth --weights $G --seeds 1a --out d
bad 2 "range 3-1 runs backwards" synth --weights $G --seeds 3-1 --out d
bad 2 "more than 1000000 seeds" synth --weights $G --seeds 0-4294967295 --out d
bad 2 "out of range, allowed is 0 to 4294967295" synth --weights $G --seeds 4294967296 --out d
bad 2 "--trunc: expected a number, found '0.7x'" synth --weights $G --seeds 1 --trunc 0.7x --out d
bad 2 "--trunc: 99 is out of range" synth --weights $G --seeds 1 --trunc 99 --out d
bad 2 "--noise: expected const or none, found 'random'" synth --weights $G --seeds 1 --noise random --out d
bad 1 "none.h5: .*No such file" synth --weights none.h5 --seeds 1 --out d
bad 1 "cut.h5: .*incomplete or damaged" synth --weights cut.h5 --seeds 1 --out d
bad 1 "dataset.h5: .*generator" synth --weights runs/cli/dataset.h5 --seeds 1 --out d
bad 1 "cannot make folder ok.yml" synth --weights $G --seeds 1 --out ok.yml
"$program" synth --weights $G --seeds 0-8,11 --trunc=0.7 --out d/e
if [ "$(ls d/e | wc -l)" -eq 10 ] && [ -s d/e/seed0011.png ]; then pass "synth of ten seeds"; else fail "synth: not ten images: $(ls d/e)"; fi
"$program" synth --weights $G --seeds 3 --trunc 0.7 --out f
if cmp -s d/e/seed0003.png f/seed0003.png; then pass "synth repeats a seed"; else fail "synth: seed 3 differs from run to run"; fi
"$program" synth --weights $G --seeds 3 --trunc 0.7 --noise none --out g
if [ -s g/seed0003.png ]; then pass "synth --noise none"; else fail "synth --noise none wrote nothing"; fi

# ---- lpips
bad 2 "lpips: --weights is missing" lpips f/seed0003.png f/seed0003.png
bad 2 "expected two images, found 1" lpips --weights n.h5 f/seed0003.png
bad 1 "none.png: .*No such file" lpips --weights n.h5 f/seed0003.png none.png
bad 1 "ok.yml is neither a PNG nor a JPEG" lpips --weights n.h5 f/seed0003.png ok.yml
head -c 60 f/seed0003.png >cut.png
bad 1 "cut.png is not a complete PNG" lpips --weights n.h5 f/seed0003.png cut.png
bad 1 "n.h5: .*No such file" lpips --weights n.h5 f/seed0003.png f/seed0003.png
bad 1 "generator.h5: not an LPIPS network" lpips --weights $G f/seed0003.png f/seed0003.png
good 'train-gan: ' run ok.yml name=big data.size=64 --stages import-data,train-gan
"$program" synth --weights runs/big/generator.h5 --seeds 0,1 --out h
bad 1 "f/seed0003.png is 16 x 16 pixels and h/seed0000.png is 64 x 64" lpips --weights n.h5 f/seed0003.png h/seed0000.png
# Absolute, because this script works in its own folder.
net=$repository/tests/golden/lpips_squeezenet1_1.h5
if [ -s "$net" ]; then
    good '^0\.000000$' lpips --weights "$net" h/seed0000.png h/seed0000.png
    good '^[0-9]+\.[0-9]{6}$' lpips --weights "$net" h/seed0000.png h/seed0001.png
    bad 1 "f/seed0003.png and f/seed0003.png: .*at least 17" lpips --weights "$net" f/seed0003.png f/seed0003.png
else
    skip "lpips of two images: no $net"
fi

# ---- no room
"$program" help >/dev/full 2>err
if [ $? -eq 1 ] && grep -q 'cannot write to standard output: No space left' err; then pass "help >/dev/full"; else fail "help >/dev/full: $(cat err)"; fi

# A disk of 64 kB: nothing half-written keeps a name, and what was there before stays.
cat >full.sh <<'S'
mkdir disk && mount -t tmpfs -o size=64k none disk || exit 77
"$1" import-data ok.yml runs_dir=disk data.n_train=4 data.n_test=4 2>err || exit 1
cp disk/cli/dataset.h5 before.h5
"$1" import-data ok.yml runs_dir=disk data.size=64 data.n_train=64 data.n_test=64 2>err && exit 2
cmp before.h5 disk/cli/dataset.h5 || exit 3
[ "$(ls disk/cli | grep -vc -e '^dataset.h5$' -e '^metrics.json$' -e '^logs$' -e '^checkpoints$')" -eq 0 ] || exit 4
tail -n 1 err | grep -q '^handsoff: import-data: .*No space left on device' || exit 5
S
unshare -rm bash full.sh "$program" 2>/dev/null
status=$?
if [ $status -eq 77 ] || ! unshare -rm true 2>/dev/null; then skip "full disk: no tmpfs can be mounted here"
elif [ $status -eq 0 ]; then pass "full disk"
else fail "full disk: check $status: $(cat err)"; fi

# ---- interruption: the message says that the same command goes on
sed 's/kimg: 0/kimg: 1000/' ok.yml >long.yml
# timeout: in its own group, with SIGINT not ignored as background jobs have it.
for signal in INT USR1 HUP; do
    timeout --preserve-status -s $signal 3 "$program" run long.yml name=long --stages import-data,train-gan >out 2>err
    status=$?
    if [ $status -eq 75 ] && grep -q '^handsoff: interrupted: train-gan: .*same command goes on' err; then pass "SIG$signal"
    else fail "SIG$signal: status $status: $(tail -n 3 err)"; fi
done
if grep -q 'train-gan: goes on from' err; then pass "goes on"; else fail "goes on: $(cat err)"; fi

# ---- one process at a time works in a run
"$program" train-gan long.yml name=long >/dev/null 2>first &
holder=$!
for _ in $(seq 100); do grep -q 'goes on' first && break; sleep 0.1; done
bad 1 "run folder runs/long is in use by process $holder on " train-gan long.yml name=long
kill -KILL $holder; wait $holder 2>/dev/null
good 'import-data: up to date' import-data long.yml name=long

if [ -z "$(find runs -name '*.part*' -o -name '*.tmp*')" ]; then pass "no unfinished files"; else fail "unfinished files: $(find runs -name '*.part*' -o -name '*.tmp*')"; fi

echo "test_cli: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
