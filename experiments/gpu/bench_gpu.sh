#!/usr/bin/env bash
# `make bench-gpu`: every kernel against its roofline, whole steps with and without CUDA graphs, PyTorch beside them where
# it is installed with CUDA. With GPU=sim the same at tiny sizes on the simulator: that it runs, not how fast. At most
# eight minutes. Output: one JSON line an item, and a table of them.
set -u
. "$(dirname "$0")/steps.sh"
need_gpu bench-gpu
[ "${1:-}" != --ask ] || exit 0

if [ -n "$simulated" ]; then begin bench 290; else begin bench 470; fi
lines=$results/bench_$stamp.jsonl
: >"$lines"
facts
# collect PART NAME SECONDS COMMAND...: as step; its JSON lines go to the file with "part" set.
collect() {
    local part=$1 name=$2
    shift
    step "$@"
    "$python" - "$part" "$lines" "$work/out" <<'P'
import json, sys
part, lines, out = sys.argv[1:]
with open(lines, "a") as to:
    for line in open(out):
        if line.startswith("{"):
            try:
                to.write(json.dumps({"part": part, **json.loads(line)}) + "\n")
            except ValueError:
                print(f"not JSON: {line.rstrip()}")
P
}

kernels=(--size gpu) items="synth_256_n1 synth_256_n8 synth_512_n1 synth_1024_n1 invert_256_n1 invert_512_n1 invert_1024_n1
    lpips_256_n1_fwdbwd head_infer_256 head_train_4096 deeplab_64_n4_train gan_64_n16 gan_256_n8"
steps=(--quick) limit=45 unfreed=()
if [ -n "$simulated" ]; then
    kernels=(--size tiny --simulated) limit=70 unfreed=(experiments/gpu/unfreed.sh)
    steps=(--quick --simulated) items="tiny_synth tiny_invert tiny_head_infer tiny_deeplab tiny_gan"
fi
if [ -n "$QUICK" ]; then kernels+=(ho_k_add ho_k_scale ho_k_column_sums) items="tiny_deeplab"; fi

BENCH_COMMIT=$(git describe --always --dirty 2>/dev/null || echo unknown)
export BENCH_COMMIT
collect kernel "every kernel" 120 "$BUILD/gpu/kernels-cuda" "${kernels[@]}"
for item in $items; do
    for way in --graphs --eager; do
        collect step "$item ${way#--}" "$limit" "${unfreed[@]}" "$BUILD/gpu/steps-cuda" "${steps[@]}" $way --one "$item"
    done
done
if ! "$python" -c 'import sys, torch; sys.exit(0 if torch.cuda.is_available() else 1)' 2>/dev/null; then
    skip "PyTorch" "$python has no torch with CUDA"
elif [ -n "$simulated" ]; then skip "PyTorch" "not on the simulator"
else
    for item in $items; do
        if [ "$(left)" -lt 15 ]; then skip "PyTorch: $item" "no time left"
        else collect torch "PyTorch: $item" 45 "$python" experiments/gpu/torch_gpu.py "$item"; fi
    done
fi
"$python" experiments/gpu/table.py "$lines" | tee "${lines%.jsonl}.md" | tee -a "$log"
finish
