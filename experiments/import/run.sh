#!/usr/bin/env bash
# experiments/import/run.sh [N] [FOLDER]: how fast import-data is beside libjpeg-turbo's decoding alone, and how much memory it
# takes. Makes N (2000) JPEG files of 1024 x 1024 in FOLDER (build/import), decodes them and imports them in turn, three times,
# and imports 30,000 small ones. Prints everything; run.log is a printed run.
set -eu
cd "$(dirname "$0")/../.."
n=${1:-2000} folder=${2:-build/import}
python=/usr/bin/python3
[ -x "$python" ] || python=python3
mkdir -p "$folder"
[ "$(ls "$folder/images" 2>/dev/null | wc -l)" -ge "$n" ] || "$python" experiments/import/make_images.py "$folder/images" "$n"
gcc -O3 -march=native -fopenmp -std=c17 -D_GNU_SOURCE experiments/import/decode_only.c -o "$folder/decode_only" -ljpeg

# COMMAND...: its last line, wall seconds, processor seconds, peak memory
measure() {
    "$python" - "$@" <<'PYTHON'
import resource, subprocess, sys, time
start = time.time()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
wall, use = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
if done.returncode != 0:
    sys.exit(done.stderr)
print(f"{done.stdout.strip().splitlines()[-1]}\n    wall {wall:.2f} s, processor {use.ru_utime + use.ru_stime:.2f} s "
      f"(user {use.ru_utime:.2f}, system {use.ru_stime:.2f}), peak memory {use.ru_maxrss / 1024:.0f} MB")
PYTHON
}

echo "$n images of 1024 x 1024, $(du -sm "$folder/images" | cut -f1) MB; $(nproc) processors; $(uptime)"
for round in 1 2 3; do
    echo "-- round $round"
    measure "$folder/decode_only" "$folder/images"
    for size in 512 1024; do
        rm -f "$folder/out.h5"
        measure bin/handsoff import-data --format folder "$folder/images" "$folder/out.h5" --size "$size"
    done
done
uptime
echo "-- memory: 200 images, then 30,000 (links to 100 files of 128 x 128)"
rm -rf "$folder/few" "$folder/many" "$folder/out.h5"
mkdir -p "$folder/few" "$folder/many"
for f in $(ls "$folder/images" | head -200); do ln "$folder/images/$f" "$folder/few/$f"; done
measure bin/handsoff import-data --format folder "$folder/few" "$folder/out.h5" --size 1024
"$python" - "$folder/many" <<'PYTHON'
import os, sys
import numpy as np
from PIL import Image
rng = np.random.RandomState(1)
for i in range(100):
    name = f"{sys.argv[1]}/{i:05d}.jpg"
    Image.fromarray(rng.randint(0, 256, (8, 8, 3), np.uint8)).resize((128, 128), Image.BICUBIC).save(name, quality=90)
    for j in range(1, 300):
        os.link(name, f"{sys.argv[1]}/{100 * j + i:05d}.jpg")
PYTHON
measure bin/handsoff import-data --format folder "$folder/many" "$folder/out.h5" --size 128
rm -rf "$folder/few" "$folder/many" "$folder/out.h5"
