#!/usr/bin/env bash
# `make test-gpu`: the cuda target on this machine's GPU, or with GPU=sim on the simulator. Every step is bounded in time
# and a failure does not stop the later ones; the whole takes at most eight minutes. README.md says what is in the log.
set -u
. "$(dirname "$0")/steps.sh"
need_gpu test-gpu
[ "${1:-}" != --ask ] || exit 0

# Programs over the cuda library. Golden files: stylegan2, lpips, deeplab, encoder, invert, refine (ops and unit).
golden="unit/test_lpips unit/test_deeplab unit/test_encoder unit/test_invert unit/test_refine ops/test_stylegan2"
device="unit/test_device unit/test_tensor unit/test_store_params unit/test_held_weights unit/test_stylegan2
    unit/test_stylegan2_file unit/test_label_head unit/test_generate unit/test_train_gan unit/test_downstream
    unit/test_augment_labelled gpusim/tests/test_fused_conv"
operations="ops/test_pointwise ops/test_linear ops/test_norm ops/test_pool ops/test_resample ops/test_style
    ops/test_loss ops/test_lpips_tap ops/test_modconv ops/test_grouped ops/test_head ops/test_augment ops/test_gan_r1"
programs="$golden $device $operations"
# What the simulator does in its time.
if [ -n "$simulated" ]; then
    programs="unit/test_device unit/test_tensor unit/test_store_params unit/test_held_weights unit/test_stylegan2_file
        ops/test_pointwise ops/test_style ops/test_pool ops/test_norm ops/test_loss ops/test_lpips_tap ops/test_resample
        ops/test_linear ops/test_modconv ops/test_grouped ops/test_augment"
fi
if [ -n "$QUICK" ]; then programs="unit/test_held_weights"; fi

if [ "${1:-}" = --programs ]; then
    for p in $programs; do [ -e "tests/$p.c" ] && echo "$BUILD/cuda/tests/$p"; done
    exit 0
fi

if [ -n "$simulated" ]; then begin test 290; else begin test 470; fi
facts
if grep -q '^cuda 0' "$work/out"; then pass "device"; else fail "device" "info --device lists no GPU"; fi

# (a) Every operation against double loops; the errors, each within its budget, become a ledger of their own. What is
# worse than on the simulator (tests/ledger.json) is named in the log: the real libraries may round otherwise.
optable=$BUILD/tests/optable-cuda
if [ ! -x "$optable" ]; then skip "operations" "$optable was not built"
elif [ -n "$QUICK" ]; then counted "operations" 30 "$optable" add dense
else
    counted "operations" 120 "$optable" --json "$results/ledger_gpu.json"
    if bounded "ledger" 20 "$python" tests/optable/ledger.py check "$results/ledger_gpu.json"; then say "errors are like the simulator's"
    else say "$(wc -l <"$work/out") lines about errors unlike the simulator's: see '==== ledger' in the log"; fi
fi

# (b) Golden files and the device's own tests.
export HANDSOFF_TEST_DATA=${HANDSOFF_TEST_DATA:-../shared/data}
for p in $programs; do
    if [ -x "$BUILD/cuda/tests/$p" ]; then counted "$p" 60 tests/run.sh "$BUILD/cuda/tests/$p"
    else skip "$p" "was not built"; fi
done

# (c) NVIDIA's own checkers on every launcher at its smallest size, and on some operations.
for tool in memcheck racecheck initcheck synccheck; do
    checker=$(command -v compute-sanitizer || ls "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer" 2>/dev/null)
    if [ -n "$simulated" ]; then skip "$tool" "compute-sanitizer needs a GPU; the simulator checks by itself"
    elif [ -z "$checker" ]; then skip "$tool" "compute-sanitizer is not installed"
    else step "$tool: kernels" 45 "$checker" --tool "$tool" --error-exitcode 9 "$BUILD/gpu/kernels-cuda" --size tiny --simulated; fi
done
if [ -n "$simulated" ] && [ -z "$QUICK" ]; then step "every launcher" 60 "$BUILD/gpu/kernels-cuda" --size tiny --simulated; fi

# (d) Whole runs: 16 pixels on both targets with and without graphs, then the demo.
counted "runs at 16 pixels" 120 "$python" experiments/gpu/runs.py small --out "$work/runs" ${simulated:+--simulated} ${QUICK:+--quick}
if [ -n "$simulated" ]; then skip "demo" "minutes of a processor's work: not on the simulator"
else counted "demo" "$(left)" "$python" experiments/gpu/runs.py demo --out "$work/runs" --seconds "$(left)"; fi
finish
