#!/usr/bin/env python3
"""Golden values for the StyleGAN2 generator and discriminator, in float64 PyTorch.

An independent implementation: every sample gets its own modulated and demodulated weights (the library never forms
them), up-sampling is a transposed convolution and an explicit 4x4 filter, gradients come from autograd, and those of the
R1 penalty from a second backward pass through the first (the library carries a tangent instead).

Parameters and inputs are not stored: element j of tensor number t is offset + amplitude * hash(t, j), with the hash below,
whose values are exact in float32. Each output and gradient is one data set, in PyTorch's order: sum, sum of absolute
values, count, then the elements: all of them up to the file's attribute "whole", else the 64 at (2 k + 1) count / 128.

    python3 tests/golden/stylegan2_golden.py tests/golden      (needs torch, numpy, h5py; about half a minute)
"""

import math
import os
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

SQRT2 = math.sqrt(2.0)


def draw(tag, shape, amplitude=1.0, offset=0.0):
    """offset + amplitude * v, v in [-1, 1) a function of (tag, index): 16 bits, exact in float32."""
    count = int(np.prod(shape)) if len(shape) else 1
    h = np.arange(count, dtype=np.uint64) * 0x9E3779B1 + np.uint64(tag) * np.uint64(0x85EBCA77)
    h &= np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(0x2C1B3C6D)) & np.uint64(0xFFFFFFFF)
    h ^= h >> np.uint64(12)
    v = (h & np.uint64(0xFFFF)).astype(np.float64) / 32768.0 - 1.0
    return torch.from_numpy((offset + amplitude * v).reshape(shape))


def channels(c, r):
    return min(c["channel_base"] // r, c["channel_max"])


def resolutions(c):
    r = 4
    while r <= c["height"]:
        yield r
        r *= 2


def wide(c, r):
    return r * c["width"] // c["height"]


# ---- parameter lists: (name, shape, amplitude, offset), in the order that numbers the tensors ---------------------------


def generator_list(c):
    D = c["w_dim"]
    out = []
    for i in range(c["mapping_layers"]):
        out += [(f"mapping.fc{i}.weight", (D, c["z_dim"] if i == 0 else D), 175.0, 0.0)]
        out += [(f"mapping.fc{i}.bias", (D,), 50.0, 0.0)]
    out += [("synthesis.b4.const", (channels(c, 4), 4, wide(c, 4)), 1.75, 0.0)]

    def layer(name, I, O, k, r):
        rows = [(name + ".affine.weight", (I, D), 1.75, 0.0), (name + ".affine.bias", (I,), 0.5, 1.0)]
        rows += [(name + ".weight", (O, I, k, k), 1.75, 0.0)]
        if k == 3:
            rows += [(name + ".noise_const", (r, wide(c, r)), 1.75, 0.0), (name + ".noise_strength", (1,), 0.5, 0.25)]
        return rows + [(name + ".bias", (O,), 0.5, 0.0)]

    for r in resolutions(c):
        O = channels(c, r)
        if r > 4:
            out += layer(f"synthesis.b{r}.conv0", channels(c, r // 2), O, 3, r)
        out += layer(f"synthesis.b{r}.conv1", O, O, 3, r)
        out += layer(f"synthesis.b{r}.torgb", O, 3, 1, r)
    return out


def discriminator_list(c):
    R = c["height"]
    out = [(f"b{R}.fromrgb.weight", (channels(c, R), 3, 1, 1), 1.75, 0.0)]
    out += [(f"b{R}.fromrgb.bias", (channels(c, R),), 0.5, 0.0)]
    for r in reversed(list(resolutions(c))):
        if r == 4:
            break
        C, half = channels(c, r), channels(c, r // 2)
        out += [(f"b{r}.conv0.weight", (C, C, 3, 3), 1.75, 0.0), (f"b{r}.conv0.bias", (C,), 0.5, 0.0)]
        out += [(f"b{r}.conv1.weight", (half, C, 3, 3), 1.75, 0.0), (f"b{r}.conv1.bias", (half,), 0.5, 0.0)]
        out += [(f"b{r}.skip.weight", (half, C, 1, 1), 1.75, 0.0)]
    C = channels(c, 4)
    out += [("b4.conv.weight", (C, C + 1, 3, 3), 1.75, 0.0), ("b4.conv.bias", (C,), 0.5, 0.0)]
    out += [("b4.fc.weight", (C, C * 4 * wide(c, 4)), 1.75, 0.0), ("b4.fc.bias", (C,), 0.5, 0.0)]
    out += [("b4.out.weight", (1, C), 1.75, 0.0), ("b4.out.bias", (1,), 0.5, 0.0)]
    return out


def parameters(rows, fill=None):
    """Named leaves; fill(t, shape, amplitude, offset) in place of draw() for the published check values."""
    out = {}
    for t, (name, shape, amplitude, offset) in enumerate(rows):
        value = fill(t, name, shape) if fill else draw(t, shape, amplitude, offset)
        out[name] = value.clone().requires_grad_(not name.endswith("noise_const"))
    return out


# ---- networks ------------------------------------------------------------------------------------------------------------


def lrelu(x):
    return F.leaky_relu(x, 0.2) * SQRT2


def filter_plane(x, pads, gain):
    """Zero padding (before, after) on both axes, then [1,3,3,1] (x) [1,3,3,1] / 64 * gain."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
    kernel = torch.outer(taps, taps) / 64.0 * gain
    x = F.pad(x, (pads[0], pads[1], pads[0], pads[1]))
    C = x.shape[1]
    return F.conv2d(x, kernel.expand(C, 1, 4, 4), groups=C)


def zero_insert(x):
    N, C, H, W = x.shape
    y = x.new_zeros(N, C, H, 2, W, 2)
    y[:, :, :, 0, :, 0] = x
    return y.reshape(N, C, 2 * H, 2 * W)


def mapping(p, c, z):
    x = z / torch.sqrt((z * z).mean(1, keepdim=True) + 1e-8)
    for i in range(c["mapping_layers"]):
        w, b = p[f"mapping.fc{i}.weight"], p[f"mapping.fc{i}.bias"]
        x = lrelu(x @ (w * (0.01 / math.sqrt(w.shape[1]))).T + b * 0.01)
    return x


def modulated(p, name, x, w, up=False, rgb=False, noise=True):
    style = w @ p[name + ".affine.weight"].T / math.sqrt(w.shape[1]) + p[name + ".affine.bias"]
    weight = p[name + ".weight"]
    outputs = []
    for n in range(x.shape[0]):
        own = weight * style[n].reshape(1, -1, 1, 1)
        if rgb:
            own = own / math.sqrt(weight.shape[1])
        else:
            own = own / torch.sqrt((own * own).sum((1, 2, 3), keepdim=True) + 1e-8)
        if up:
            y = F.conv_transpose2d(x[n : n + 1], own.transpose(0, 1), stride=2)
            y = filter_plane(y, (1, 1), 4.0)
        else:
            y = F.conv2d(x[n : n + 1], own, padding=weight.shape[2] // 2)
        outputs.append(y)
    y = torch.cat(outputs)
    bias = p[name + ".bias"].reshape(1, -1, 1, 1)
    if rgb:
        return y + bias
    if noise:
        y = y + p[name + ".noise_strength"].reshape(()) * p[name + ".noise_const"]
    return lrelu(y + bias)


def synthesis(p, c, w_plus, noise=True):
    x = p["synthesis.b4.const"].expand(w_plus.shape[0], -1, -1, -1)
    maps, image, row = [x], None, 0
    for r in resolutions(c):
        if r > 4:
            x = modulated(p, f"synthesis.b{r}.conv0", x, w_plus[:, row], up=True, noise=noise)
            maps.append(x)
            row += 1
        x = modulated(p, f"synthesis.b{r}.conv1", x, w_plus[:, row], noise=noise)
        maps.append(x)
        row += 1
        colour = modulated(p, f"synthesis.b{r}.torgb", x, w_plus[:, row], rgb=True)
        image = colour if image is None else colour + filter_plane(zero_insert(image), (2, 1), 4.0)
    return image, maps


def minibatch_std(x, group):
    N = x.shape[0]
    G = min(group, N)
    M = N // G
    plane = torch.empty(N, 1, *x.shape[2:], dtype=x.dtype)
    for m in range(M):
        members = x[m::M]
        mean = members.mean(0)
        std = torch.sqrt(((members - mean) ** 2).mean(0) + 1e-8)
        plane[m::M] = std.mean()
    return torch.cat([x, plane], 1)


def equal(x, w, stride=1, padding=0):
    return F.conv2d(x, w / math.sqrt(w[0].numel()), stride=stride, padding=padding)


def discriminator(p, c, x, group):
    R = c["height"]
    plane = lambda b: p[b].reshape(1, -1, 1, 1)
    x = lrelu(equal(x, p[f"b{R}.fromrgb.weight"]) + plane(f"b{R}.fromrgb.bias"))
    for r in reversed(list(resolutions(c))):
        if r == 4:
            break
        main = lrelu(equal(x, p[f"b{r}.conv0.weight"], padding=1) + plane(f"b{r}.conv0.bias"))
        main = equal(filter_plane(main, (2, 2), 1.0), p[f"b{r}.conv1.weight"], stride=2)
        main = lrelu(main + plane(f"b{r}.conv1.bias"))
        skip = equal(filter_plane(x, (1, 1), 1.0), p[f"b{r}.skip.weight"], stride=2)
        x = (main + skip) / SQRT2
    x = lrelu(equal(minibatch_std(x, group), p["b4.conv.weight"], padding=1) + plane("b4.conv.bias"))
    x = x.flatten(1)
    x = lrelu(x @ p["b4.fc.weight"].T / math.sqrt(x.shape[1]) + p["b4.fc.bias"])
    return x @ p["b4.out.weight"].T / math.sqrt(x.shape[1]) + p["b4.out.bias"]


# ---- published values of the original implementation (a tiny generator and a tiny discriminator) ------------------------


def near(got, want, what):
    got = np.asarray(got.detach(), dtype=np.float64).ravel()
    want = np.asarray(want, dtype=np.float64)
    if not np.all(np.abs(got - want) <= 2e-6 + 2e-5 * np.abs(want)):
        raise SystemExit(f"{what}: {got} instead of {want}")


def check_published():
    c = dict(height=8, width=8, z_dim=8, w_dim=8, channel_base=24, channel_max=4, mapping_layers=2)

    def wave(t, name, shape, A, off):
        j = torch.arange(int(np.prod(shape)), dtype=torch.float64)
        return (off + A * torch.sin(1.0 + t + 0.7 * j)).reshape(shape)

    fill = lambda t, name, shape: wave(t, name, shape, 50.0 if t < 4 else 0.5, float(name.endswith("affine.bias")))
    p = parameters(generator_list(c), fill)
    w = mapping(p, c, torch.cos(0.5 * torch.arange(8, dtype=torch.float64)).reshape(1, 8))
    near(w, [-0.136521, -0.024864, 0.504929, 0.919253, 0.923715, 0.506058, -0.030596, -0.151523], "w")
    w_plus = (w.reshape(1, 1, 8) + 0.1 * torch.arange(4.0, dtype=torch.float64).reshape(1, 4, 1)).detach()
    w_plus.requires_grad_(True)
    image, maps = synthesis(p, c, w_plus)
    near(torch.stack([image.sum(), image.abs().sum()]), [20.148995, 32.476720], "image")
    near(maps[2].flatten()[:4], [0.748349, 1.118624, 1.370125, 1.435242], "b8.conv0")
    (g,) = torch.autograd.grad(image.sum() / 8.0, w_plus)
    near(g[0, 3, :3], [-0.003786, -0.000685, 0.002738], "gradient of w_plus")

    p = parameters(discriminator_list(c), lambda t, name, shape: wave(t, name, shape, 1.0, 0.0))
    x = torch.sin(0.3 * torch.arange(4 * 3 * 64, dtype=torch.float64)).reshape(4, 3, 8, 8).requires_grad_(True)
    y = discriminator(p, c, x, 4)
    near(y, [0.850207, 0.860662, 0.863241, 0.833891], "logits")
    (g,) = torch.autograd.grad(y.sum(), x)
    near((g * g).sum((1, 2, 3)), [0.000234, 0.000620, 0.000238, 0.000275], "squared gradient")


# ---- golden files --------------------------------------------------------------------------------------------------------


def put(f, name, tensor):
    a = tensor.detach().numpy().astype(np.float64).ravel()
    index = np.arange(a.size) if a.size <= f.attrs["whole"] else (np.arange(64) * 2 + 1) * a.size // 128
    f.create_dataset(name, data=np.concatenate([[a.sum(), np.abs(a).sum(), a.size], a[index]]))


def put_shape(f, c):
    for key, value in c.items():
        f.attrs[key] = float(value)
    f.attrs["whole"] = 4096.0 if c["height"] == 16 else 128.0


def write_generator(path, c, N):
    L = 2 * int(math.log2(c["height"])) - 2
    p = parameters(generator_list(c))
    z = draw(1000, (N, c["z_dim"]), 1.75).requires_grad_(True)
    offset = draw(1001, (N, L, c["w_dim"]), 0.5).requires_grad_(True)
    w = mapping(p, c, z)
    image, maps = synthesis(p, c, w[:, None, :] + offset)
    loss = (image * draw(1002, image.shape)).sum()
    for l, m in enumerate(maps):
        loss = loss + (m * draw(1010 + l, m.shape)).sum()
    loss.backward()
    with h5py.File(path, "w", libver="latest") as f:
        put_shape(f, dict(c, N=N))
        put(f, "w", w)
        put(f, "image", image)
        put(f, "image_no_noise", synthesis(p, c, w[:, None, :] + offset, noise=False)[0])
        for l, m in enumerate(maps):
            put(f, f"block{l}", m)
        put(f, "grad/z", z.grad)
        put(f, "grad/w_plus", offset.grad)
        for name, value in p.items():
            if value.requires_grad:
                put(f, "grad/" + name, value.grad)


def write_discriminator(path, c, N, group, r1):
    p = parameters(discriminator_list(c))
    x = draw(1000, (N, 3, c["height"], c["width"]), 1.75).requires_grad_(True)
    logits = discriminator(p, c, x, group)
    (logits * draw(1001, (N, 1))).sum().backward()
    with h5py.File(path, "w", libver="latest") as f:
        put_shape(f, dict(c, N=N, group=group))
        put(f, "logits", logits)
        put(f, "grad/image", x.grad)
        for name, value in p.items():
            put(f, "grad/" + name, value.grad)
            value.grad = None
        if r1:
            x.grad = None
            (g,) = torch.autograd.grad(discriminator(p, c, x, group).sum(), x, create_graph=True)
            put(f, "r1/image_grad", g)
            put(f, "r1/squared", (g * g).sum((1, 2, 3)))
            (0.5 * (g * g).sum()).backward()
            for name, value in p.items():
                put(f, "r1/grad/" + name, value.grad if value.grad is not None else torch.zeros_like(value))


def shape(height, width, base, most, z_dim=5, w_dim=6, layers=3):
    return dict(height=height, width=width, z_dim=z_dim, w_dim=w_dim, channel_base=base, channel_max=most,
                mapping_layers=layers)


def main(folder):
    torch.set_num_threads(1)
    check_published()
    write_generator(os.path.join(folder, "generator_16.h5"), shape(16, 16, 80, 9), 3)
    write_generator(os.path.join(folder, "generator_32x16.h5"), shape(32, 16, 128, 7, layers=1), 2)
    write_generator(os.path.join(folder, "generator_64.h5"), shape(64, 64, 256, 6, z_dim=7, layers=8), 2)
    write_generator(os.path.join(folder, "generator_256.h5"), shape(256, 256, 1024, 5), 1)
    write_discriminator(os.path.join(folder, "discriminator_16.h5"), shape(16, 16, 80, 9), 4, 2, True)
    write_discriminator(os.path.join(folder, "discriminator_32x16.h5"), shape(32, 16, 128, 7), 6, 3, True)
    write_discriminator(os.path.join(folder, "discriminator_64.h5"), shape(64, 64, 256, 6), 4, 4, True)
    write_discriminator(os.path.join(folder, "discriminator_256.h5"), shape(256, 256, 1024, 5), 3, 4, True)


if __name__ == "__main__":
    main(sys.argv[1])
