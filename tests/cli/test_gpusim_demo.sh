#!/usr/bin/env bash
# The whole pipeline with the cuda target on the simulator, compared with the cpu target (tests/gpusim/demo/demo.py).
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip gpusim_demo: nvcc is not on this machine"
    exit 0
fi
BUILD=${BUILD:-build}
log=$(mktemp) && trap 'rm -f "$log"' EXIT
if ! make --no-print-directory BUILD="$BUILD" -j"$(nproc)" bin/handsoff cuda gpusim >"$log" 2>&1; then
    echo "not ok gpusim_demo: it does not build: $(tail -n 20 "$log")"
    exit 1
fi
python=/usr/bin/python3
[ -z "${CONDA_PREFIX:-}" ] && [ -x "$python" ] || python=python3
exec "$python" tests/gpusim/demo/demo.py bin/handsoff "$BUILD/gpusim/lib"
