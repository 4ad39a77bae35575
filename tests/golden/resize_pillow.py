"""Writes tests/golden/resize_pillow.h: what Pillow's BILINEAR makes of a small picture. Run: python3 resize_pillow.py"""
import os

from PIL import Image

WIDTH, HEIGHT = 23, 17
SIZES = [(7, 5), (31, 20), (23, 6), (9, 17), (1, 1), (46, 3)]


def value(x, y, c):
    """The same formula as in tests/unit/test_image.c: edges, ramps and noise-like texture."""
    return (x * x * 7 + y * 31 * (c + 1) + (x * y) % 11 * 19 + (90 if x > 11 else 0)) % 256


source = Image.new("RGB", (WIDTH, HEIGHT))
source.putdata([tuple(value(x, y, c) for c in range(3)) for y in range(HEIGHT) for x in range(WIDTH)])

lines = ["/* Made by resize_pillow.py: {width, height} and the pixels that Pillow's BILINEAR gives. */",
         "// clang-format off"]
for width, height in SIZES:
    pixels = list(source.resize((width, height), Image.BILINEAR).tobytes())
    lines.append("static const uint8_t PILLOW_%d_%d[] = {" % (width, height))
    for start in range(0, len(pixels), 28):
        lines.append("    " + ", ".join(map(str, pixels[start:start + 28])) + ",")
    lines.append("};")
lines.append("static const struct {\n    int width, height;\n    const uint8_t *pixels;\n} PILLOW[] = {")
lines += ["    {%d, %d, PILLOW_%d_%d}," % (w, h, w, h) for w, h in SIZES]
lines += ["};", "// clang-format on"]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "resize_pillow.h"), "w") as out:
    out.write("\n".join(lines) + "\n")
