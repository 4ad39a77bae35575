#!/usr/bin/env python3
"""Bytes, FLOPs and roofline times of the 1024-pixel config-f generator's synthesis layers, three ways.

    roofline.py            the tables, as in README.md
    roofline.py --check    exit status 1 when the fused way moves more than half of PyTorch's float bytes in a
                           resolution of 256 pixels or more
    roofline.py --write    puts the tables into README.md; --check also fails when they are not these

The counting rules are in README.md.
"""
import sys
from pathlib import Path

BYTES_PER_S = 3.35e12  # H100 SXM data sheet: HBM3
FLOPS_PER_S = {"tf32": 494.7e12, "bf16": 989.4e12, "fp16": 989.4e12}  # dense tensor core rates
README = Path(__file__).parent / "README.md"
RESOLUTIONS = [4, 8, 16, 32, 64, 128, 256, 512, 1024]
TAPS = 9


def channels(r):
    return min(32768 // r, 512)


class Layer:
    """One modulated convolution. H: pixels a side of x, P of y; sizes in elements of one sample."""

    def __init__(self, kind, r):
        self.kind, self.P, self.O = kind, r, 3 if kind == "rgb" else channels(r)
        self.H = r // 2 if kind == "up" else r
        self.C = channels(r // 2) if kind == "up" else channels(r)
        self.taps = 1 if kind == "rgb" else TAPS
        self.w = self.O * self.taps * self.C
        self.x, self.y = self.H**2 * self.C, self.P**2 * self.O
        self.t = (2 * self.H + 1) ** 2 * self.O
        self.plane = 0 if kind == "rgb" else self.P**2

    def flops(self, n):
        """Of the convolution: up, of the transposed convolution, each pixel of x with its nine taps."""
        return 2 * n * self.taps * self.C * self.O * (self.H if self.kind == "up" else self.P) ** 2


class Way:
    """Kernels of a layer: each is (elements moved, bytes an element, FLOPs, rate)."""

    def __init__(self):
        self.kernels = []

    def add(self, elements, size=4, flops=0.0, rate="tf32"):
        self.kernels.append((elements, size, flops, rate))

    def bytes(self):
        return sum(elements * size for elements, size, _, _ in self.kernels)

    def flops(self):
        return sum(flops for _, _, flops, _ in self.kernels)

    def seconds(self):
        return sum(max(e * size / BYTES_PER_S, f / FLOPS_PER_S[rate]) for e, size, f, rate in self.kernels)


def tiles(size, step):
    return -(-size // step)


def fused_flops(layer, n):
    """What the kernel's tiles compute, halo and padding included (kernels/cuda/fused_conv.cu, fused_up.cu)."""
    rows, columns = (6, 14) if layer.kind == "up" else (8, 16)
    wide = layer.kind != "up" and layer.O > 32 and n * tiles(layer.P, 8) * tiles(layer.P, 16) * tiles(layer.O, 64) >= 264
    block = 64 if wide else 32
    blocks = n * tiles(layer.H, rows) * tiles(layer.H, columns) * tiles(layer.O, block)
    return 2 * blocks * 8 * 16 * block * TAPS * tiles(layer.C, 16) * 16


def rgb_ours(layer, n, way):
    way.add(layer.w + n * layer.w + n * layer.C)  # three weights times the style of each sample
    way.add(n * (layer.x + layer.w + layer.y), flops=layer.flops(n))
    way.add(2 * n * layer.y)  # bias


def fused(layer, n, rate):
    way = Way()
    if layer.kind == "rgb":
        rgb_ours(layer, n, way)
        return way
    way.add(layer.w + layer.C * layer.O)  # squares of the weights, for the demodulation
    way.add(n * (layer.x + layer.y) + layer.w + layer.plane, flops=fused_flops(layer, n), rate=rate)
    return way


def library(layer, n):
    way = Way()
    if layer.kind == "rgb":
        rgb_ours(layer, n, way)
        return way
    way.add(layer.w + layer.C * layer.O)
    way.add(2 * n * layer.x)  # modulate
    if layer.kind == "up":
        way.add(2 * layer.w)  # (O,9,C) -> (C,9,O)
        way.add(n * (layer.x + layer.t) + layer.w, flops=layer.flops(n))
        way.add(n * (layer.t + layer.y) + layer.plane)  # filter and epilogue
    else:
        way.add(n * (layer.x + layer.y) + layer.w, flops=layer.flops(n))
        way.add(2 * n * layer.y + layer.plane)  # epilogue
    return way


def pytorch(layer, n, half):
    """stylegan2-ada-pytorch (d72cc7d), inference. half: its 16-bit layers, the four highest resolutions."""
    size, rate, way = (2, "fp16", Way()) if half else (4, "tf32", Way())
    grouped = not half or n == 1  # otherwise the activations are multiplied by style and demodulation
    if half and layer.kind != "rgb":
        way.add(3 * layer.w, size)  # weights to fp16 range: largest magnitude, product
    way.add(layer.w + n * layer.w, size)  # w s
    if layer.kind != "rgb":
        way.add(3 * n * layer.w, size)  # squares, their sums
        if grouped:
            way.add(2 * n * layer.w, size)  # times d
    weights = n * layer.w if grouped else layer.w
    if not grouped:
        way.add(2 * n * layer.x, size)
    if layer.kind == "up":
        way.add(n * (layer.x + layer.t) + weights, size, layer.flops(n), rate)
        way.add(n * (layer.t + layer.y), size)  # upfirdn2d
    else:
        way.add(n * (layer.x + layer.y) + weights, size, layer.flops(n), rate)
    if layer.kind != "rgb" or not grouped:
        way.add(2 * n * layer.y + layer.plane, size)  # + noise, or d y + noise
    way.add(2 * n * layer.y, size)  # bias_act
    return way


def layers(r):
    return [Layer(kind, r) for kind in (["plain"] if r == 4 else ["up", "plain"]) + ["rgb"]]


WAYS = [
    ("fused, TF32", lambda layer, n: fused(layer, n, "tf32")),
    ("fused, bf16", lambda layer, n: fused(layer, n, "bf16")),
    ("library", library),
    ("PyTorch fp32", lambda layer, n: pytorch(layer, n, False)),
    ("PyTorch fp16 from 128 px", lambda layer, n: pytorch(layer, n, layer.P >= 128)),
]


def ratio(r, n, way):
    """Bytes of the fused way over those of WAYS[way], all layers of a resolution."""
    return sum(WAYS[0][1](x, n).bytes() for x in layers(r)) / sum(WAYS[way][1](x, n).bytes() for x in layers(r))


def tables():
    lines = []
    for n in (1, 4):
        lines += ["", f"### Batch {n}", "", "MB moved / GFLOP / microseconds at the roofline.", ""]
        lines += ["| layer | x -> y | " + " | ".join(name for name, _ in WAYS) + " |", "| --- " * (2 + len(WAYS)) + "|"]
        total = [[0.0, 0.0, 0.0] for _ in WAYS]
        for r in RESOLUTIONS:
            for layer in layers(r):
                cells = []
                for i, (_, way) in enumerate(WAYS):
                    made = way(layer, n)
                    values = [made.bytes() / 1e6, made.flops() / 1e9, made.seconds() * 1e6]
                    total[i] = [a + b for a, b in zip(total[i], values)]
                    cells.append("{:.1f} / {:.2f} / {:.1f}".format(*values))
                lines.append(f"| {r} {layer.kind} | {layer.H}² x {layer.C} -> {layer.P}² x {layer.O} | "
                             + " | ".join(cells) + " |")
        lines.append("| all | | " + " | ".join("{:.0f} / {:.0f} / {:.0f}".format(*t) for t in total) + " |")
        lines += ["", "Bytes of the fused way over:", "", "| resolution | library | PyTorch fp32 | PyTorch fp16 |",
                  "| --- | --- | --- | --- |"]
        lines += [f"| {r} | {ratio(r, n, 2):.2f} | {ratio(r, n, 3):.2f} | {ratio(r, n, 4):.2f} |" for r in RESOLUTIONS]
    return "\n".join(lines) + "\n"


def check():
    good = True
    for n in (1, 4):
        for r in (256, 512, 1024):
            value = ratio(r, n, 3)
            good &= value <= 0.5
            print(f"{r} px, batch {n}: the fused way moves {value:.2f} of PyTorch's bytes"
                  + ("" if value <= 0.5 else ": MORE THAN HALF"))
    if not README.read_text().endswith(tables()):
        print("experiments/roofline/README.md has other tables: run experiments/roofline/roofline.py --write")
        good = False
    return 0 if good else 1


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    if sys.argv[1:] == ["--write"]:
        head = README.read_text().split("\n### Batch 1\n")[0]
        README.write_text(head.rstrip("\n") + "\n" + tables())
        return 0
    print(tables())
    return 0


if __name__ == "__main__":
    sys.exit(main())
