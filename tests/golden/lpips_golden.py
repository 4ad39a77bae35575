#!/usr/bin/env python3
"""Golden files of LPIPS: python3 lpips_golden.py FOLDER  writes lpips_{vgg16,alexnet,squeezenet1_1}.h5 (PyTorch, float64).

Each file is a weights file as include/handsoff/perceptual.h describes it, with random narrow weights, and beside them
  golden/a, golden/b  (N,H,W,3) images in [-1, 1];  golden/distance (N);  golden/g_a: gradient of
  sum_n (n + 1) distance[n];  golden/tapK (C,H',W'): features of image 0 of a.
Everything is computed in float64 from weights and images that are exact in their file's type."""
import sys

import h5py
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)

VGG = [[0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]]


def rounded(t):
    return t.float().double()


class Weights:
    """Draws convolutions on first use and remembers them under their names."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def conv(self, name, x, out, k, stride=1, pad=0):
        inputs = x.shape[1]
        if name + ".weight" not in self.tensors:
            w = torch.randn(out, inputs, k, k, generator=self.generator) * (1.0 / (inputs * k * k)) ** 0.5
            b = torch.rand(out, generator=self.generator) * 0.5 + 0.2
            self.tensors[name + ".weight"], self.tensors[name + ".bias"] = rounded(w), rounded(b)
        w, b = self.tensors[name + ".weight"], self.tensors[name + ".bias"]
        return F.relu(F.conv2d(x, w, b, stride=stride, padding=pad))


def vgg16(w, x, _):
    taps = []
    for block, width in zip(VGG, (6, 6, 8, 10, 10)):
        if taps:
            x = F.max_pool2d(x, 2, 2)
        for index in block:
            x = w.conv(f"features.{index}", x, width, 3, 1, 1)
        taps.append(x)
    return taps


def alexnet(w, x, _):
    taps = [w.conv("features.0", x, 6, 11, 4, 2)]
    taps.append(w.conv("features.3", F.max_pool2d(taps[-1], 3, 2), 8, 5, 1, 2))
    taps.append(w.conv("features.6", F.max_pool2d(taps[-1], 3, 2), 10, 3, 1, 1))
    taps.append(w.conv("features.8", taps[-1], 9, 3, 1, 1))
    taps.append(w.conv("features.10", taps[-1], 7, 3, 1, 1))
    return taps


def squeezenet(w, x, ceil):
    def fire(i, y, squeeze, left, right):
        y = w.conv(f"features.{i}.squeeze", y, squeeze, 1)
        return torch.cat([w.conv(f"features.{i}.expand1x1", y, left, 1),
                          w.conv(f"features.{i}.expand3x3", y, right, 3, 1, 1)], 1)

    def pool(y):
        return F.max_pool2d(y, 3, 2, ceil_mode=ceil)

    taps = [w.conv("features.0", x, 6, 3, 2, 0)]
    taps.append(fire(4, fire(3, pool(taps[-1]), 3, 4, 5), 3, 5, 4))
    taps.append(fire(7, fire(6, pool(taps[-1]), 4, 6, 5), 4, 5, 7))
    taps.append(fire(9, pool(taps[-1]), 4, 7, 6))
    for i in (10, 11, 12):
        taps.append(fire(i, taps[-1], 4, 5 + i % 2, 6))
    return taps


def distance(taps_a, taps_b, lin):
    total = 0.0
    for k, (a, b) in enumerate(zip(taps_a, taps_b)):
        a = a / (a.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        b = b / (b.pow(2).sum(1, keepdim=True).sqrt() + 1e-10)
        scale = lin[k].view(1, -1, 1, 1) if lin else 1.0
        total = total + (scale * (a - b) ** 2).sum(1).mean((1, 2))
    return total


def write(path, topology, run, size, seed, lin, bgr, ceil):
    w = Weights(seed)
    generator = torch.Generator().manual_seed(seed + 100)
    shift = rounded(torch.tensor([-0.030, -0.088, -0.188]))
    scale = rounded(torch.tensor([0.458, 0.448, 0.450]))

    def image():
        coarse = torch.rand(2, 3, 6, 5, generator=generator) * 2 - 1
        smooth = F.interpolate(coarse, size=size, mode="bilinear")
        noisy = smooth + 0.1 * torch.randn(2, 3, *size, generator=generator)
        return noisy.clamp(-1, 1).half().double().requires_grad_()

    def features(x):
        x = (x - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1)
        return run(w, x.flip(1) if bgr else x, ceil)

    a, b = image(), image()
    taps_a, taps_b = features(a), features(b)
    linear = [rounded(torch.rand(t.shape[1], generator=generator)) for t in taps_a] if lin else None
    d = distance(taps_a, taps_b, linear)
    (d * torch.tensor([1.0, 2.0])).sum().backward()
    assert all(torch.isfinite(g).all() for g in (d, a.grad, b.grad))
    assert all((t.amax(1) > 0).all() for t in taps_a + taps_b), "a silent pixel: PyTorch's gradient would be NaN"
    with h5py.File(path, "w") as f:
        f.attrs["topology"] = topology
        f.attrs["bgr"], f.attrs["pool_ceil"] = float(bgr), float(ceil)
        tensors = dict(w.tensors, shift=shift, scale=scale)
        tensors.update({f"lin{k}": t for k, t in enumerate(linear or [])})
        for name, t in tensors.items():
            f.create_dataset(name, data=t.numpy(), dtype="f4")
        for name, t, dtype in (("a", a, "f2"), ("b", b, "f2"), ("g_a", a.grad, "f4")):
            f.create_dataset("golden/" + name, data=t.detach().permute(0, 2, 3, 1).numpy(), dtype=dtype)
        f.create_dataset("golden/distance", data=d.detach().numpy(), dtype="f8")
        for k, t in enumerate(taps_a):
            f.create_dataset(f"golden/tap{k}", data=t[0].detach().numpy(), dtype="f4")
    print(path, d.tolist(), a.grad.abs().max().item())


def main():
    folder = sys.argv[1]
    write(f"{folder}/lpips_vgg16.h5", "vgg16", vgg16, (37, 33), 1, lin=True, bgr=False, ceil=False)
    write(f"{folder}/lpips_alexnet.h5", "alexnet", alexnet, (65, 71), 3, lin=False, bgr=False, ceil=False)
    write(f"{folder}/lpips_squeezenet1_1.h5", "squeezenet1_1", squeezenet, (44, 37), 3, lin=True, bgr=True, ceil=True)


if __name__ == "__main__":
    main()
