#!/usr/bin/env bash
# The roofline model of experiments/roofline: bytes of the fused convolution against PyTorch's, and tables up to date.
cd "$(dirname "$0")/../.." || exit 1
if message=$(python3 experiments/roofline/roofline.py --check); then
    echo "ok roofline_half_of_the_bytes"
else
    echo "not ok roofline_half_of_the_bytes"
    echo "$message"
fi
# That the check can fail: with PyTorch's bytes halved, and with another table.
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
cp experiments/roofline/* "$work"
sed -i 's/size, rate, way = (2, "fp16", Way()) if half else (4, "tf32", Way())/size, rate, way = 2, "tf32", Way()/' "$work/roofline.py"
message=$(python3 "$work/roofline.py" --check) && message="it passed"
if [[ $message == *"MORE THAN HALF"* ]]; then echo "ok roofline_check_fails"; else echo "not ok roofline_check_fails: $message"; fi
cp experiments/roofline/* "$work"
sed -i 's/| 4 plain |/| 4  plain |/' "$work/README.md"
message=$(python3 "$work/roofline.py" --check) && message="it passed"
if [[ $message == *"other tables"* ]]; then echo "ok roofline_table_up_to_date"; else echo "not ok roofline_table_up_to_date: $message"; fi
