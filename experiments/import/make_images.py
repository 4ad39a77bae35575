#!/usr/bin/env python3
"""make_images.py DIR N: N different JPEG files of 1024 x 1024 pixels, quality 90, about 200 KB each: smooth shapes with fine
texture on half of the picture, as photos have."""

import os
import sys

import numpy as np
from PIL import Image

folder, n = sys.argv[1], int(sys.argv[2])
os.makedirs(folder, exist_ok=True)
rng = np.random.RandomState(0)
texture = np.asarray(Image.fromarray(rng.randint(0, 256, (1024, 1024), np.uint8)).resize((2048, 2048), Image.BICUBIC), np.int16) - 128
for i in range(n):
    small = rng.randint(0, 256, (12, 12, 3), np.uint8)
    a = np.asarray(Image.fromarray(small).resize((1024, 1024), Image.BICUBIC), np.int16)
    y, x = rng.randint(0, 1024, 2)
    mask = np.asarray(Image.fromarray(rng.randint(0, 2, (6, 6), np.uint8) * 255).resize((1024, 1024), Image.BILINEAR), np.int16)
    grain = texture[y:y + 1024, x:x + 1024] * (mask // 4 + 8) // 255
    Image.fromarray(np.clip(a + grain[..., None], 0, 255).astype(np.uint8)).save(os.path.join(folder, f"{i:05d}.jpg"), quality=90)
