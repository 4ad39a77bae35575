#!/usr/bin/env bash
# Library calls that fail, one after the other, in a stage of the cuda target on the simulator: one message each, nothing
# leaks (tests/gpusim/inject.py; without --quick it takes minutes and goes through more stages).
cd "$(dirname "$0")/../.." || exit 1
if ! command -v nvcc >/dev/null; then
    echo "skip inject: nvcc is not on this machine"
    exit 0
fi
BUILD=${BUILD:-build}
log=$(mktemp) && trap 'rm -f "$log"' EXIT
if ! make --no-print-directory BUILD="$BUILD" -j"$(nproc)" bin/handsoff cuda gpusim >"$log" 2>&1; then
    echo "not ok inject: it does not build: $(tail -n 20 "$log")"
    exit 1
fi
python=/usr/bin/python3
[ -z "${CONDA_PREFIX:-}" ] && [ -x "$python" ] || python=python3
exec "$python" tests/gpusim/inject.py bin/handsoff "$BUILD/gpusim/lib" --quick
