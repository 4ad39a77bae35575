"""StyleGAN2 (Karras et al. 2020), LPIPS over VGG16 and the small DeepLabV3 of src/nn in PyTorch, as a user would write
them: random weights."""
import math

import torch
from torch.nn import functional as F

SQRT2 = math.sqrt(2.0)
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
KERNEL = torch.outer(TAPS, TAPS) / 64.0


def channels(r, most):
    return min(32768 // r, most)


def lrelu(x):
    return F.leaky_relu(x, 0.2) * SQRT2


def fir(x, before, after, gain):
    """[1,3,3,1] (x) [1,3,3,1] / 64 per channel, zero padding on both axes."""
    C = x.shape[1]
    x = F.pad(x, (before, after, before, after)) if before or after else x
    return F.conv2d(x, (KERNEL * gain).expand(C, 1, 4, 4), groups=C)


def up2(x):
    N, C, H, W = x.shape
    y = F.pad(x.reshape(N, C, H, 1, W, 1), (0, 1, 0, 0, 0, 1)).reshape(N, C, 2 * H, 2 * W)
    return fir(y, 2, 1, 4.0)


class Parameters(dict):
    def add(self, name, *shape, scale=1.0, offset=0.0):
        self[name] = (torch.randn(*shape) * scale + offset)
        return self[name]

    def require(self, on=True):
        for name, p in self.items():
            if not name.endswith("noise"):
                p.requires_grad_(on)
        return self


# ---- StyleGAN2 -----------------------------------------------------------------------------------------------------------


class Generator:
    def __init__(self, size, most):
        self.size, self.rows = size, 2 * int(math.log2(size)) - 2
        self.p = p = Parameters()
        for i in range(8):
            p.add(f"fc{i}.w", 512, 512, scale=100.0)
            p.add(f"fc{i}.b", 512, scale=0.0)
        p.add("const", 1, channels(4, most), 4, 4)
        self.layers, r = [], 4
        while r <= size:
            I, O = channels(r // 2, most) if r > 4 else None, channels(r, most)
            for kind, inputs, outputs, k in ([("up", I, O, 3)] if r > 4 else []) + [("conv", O, O, 3), ("rgb", O, 3, 1)]:
                name = f"{kind}{r}"
                p.add(name + ".a", inputs, 512)
                p.add(name + ".ab", inputs, scale=0.0, offset=1.0)
                p.add(name + ".w", outputs, inputs, k, k)
                p.add(name + ".b", outputs, scale=0.0)
                if kind != "rgb":
                    p.add(name + ".noise", r, r)
                    p.add(name + ".strength", 1, scale=0.0)
                self.layers.append((kind, name))
            r *= 2

    def map(self, z):
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        gain = 0.01 / math.sqrt(512.0)
        for i in range(8):
            x = lrelu(F.linear(x, self.p[f"fc{i}.w"] * gain, self.p[f"fc{i}.b"] * 0.01))
        return x

    def modulated(self, kind, name, x, style, fused):
        w, N = self.p[name + ".w"], x.shape[0]
        if kind == "rgb":
            style = style / math.sqrt(w.shape[1])
        d = None
        if kind != "rgb":
            d = (torch.einsum("ni,oi->no", style.square(), w.square().sum((2, 3))) + 1e-8).rsqrt()
        if not fused:
            x = self.convolve(kind, x * style[:, :, None, None], w, 1)
            return x if d is None else x * d[:, :, None, None]
        ws = w[None] * style[:, None, :, None, None]
        ws = ws if d is None else ws * d[:, :, None, None, None]
        y = self.convolve(kind, x.reshape(1, -1, *x.shape[2:]), ws.reshape(-1, *ws.shape[2:]), N)
        return y.reshape(N, -1, *y.shape[2:])

    def convolve(self, kind, x, w, groups):
        if kind != "up":
            return F.conv2d(x, w, padding=w.shape[2] // 2, groups=groups)
        O, I = w.shape[0] // groups, w.shape[1]
        w = w.reshape(groups, O, I, 3, 3).transpose(1, 2).reshape(groups * I, O, 3, 3)
        return fir(F.conv_transpose2d(x, w, stride=2, groups=groups), 1, 1, 4.0)

    def synthesize(self, w_plus, fused, random_noise=False):
        x, image, row = self.p["const"].expand(w_plus.shape[0], -1, -1, -1), None, 0
        for kind, name in self.layers:
            p = self.p
            style = F.linear(w_plus[:, row], p[name + ".a"] / math.sqrt(512.0), p[name + ".ab"])
            y = self.modulated(kind, name, x, style, fused)
            if kind == "rgb":
                y = y + p[name + ".b"][None, :, None, None]
                image = y if image is None else y + up2(image)
                continue
            noise = torch.randn(x.shape[0], 1, *y.shape[2:]) if random_noise else p[name + ".noise"]
            x = lrelu((y + noise * p[name + ".strength"]).add_(p[name + ".b"][None, :, None, None]))
            row += 1
        return image


class Discriminator:
    def __init__(self, size, most):
        self.size = size
        self.p = p = Parameters()
        p.add("rgb.w", channels(size, most), 3, 1, 1), p.add("rgb.b", channels(size, most), scale=0.0)
        r = size
        while r > 4:
            C, O = channels(r, most), channels(r // 2, most)
            p.add(f"{r}.0.w", C, C, 3, 3), p.add(f"{r}.0.b", C, scale=0.0)
            p.add(f"{r}.1.w", O, C, 3, 3), p.add(f"{r}.1.b", O, scale=0.0)
            p.add(f"{r}.skip.w", O, C, 1, 1)
            r //= 2
        C = channels(4, most)
        p.add("conv.w", C, C + 1, 3, 3), p.add("conv.b", C, scale=0.0)
        p.add("fc.w", C, 16 * C), p.add("fc.b", C, scale=0.0)
        p.add("out.w", 1, C), p.add("out.b", 1, scale=0.0)

    def weight(self, name):
        w = self.p[name + ".w"]
        return w / math.sqrt(w[0].numel())

    def __call__(self, x):
        p = self.p
        x = lrelu(F.conv2d(x, self.weight("rgb"), p["rgb.b"]))
        r = self.size
        while r > 4:
            y = lrelu(F.conv2d(x, self.weight(f"{r}.0"), p[f"{r}.0.b"], padding=1))
            y = lrelu(F.conv2d(fir(y, 2, 2, 1.0), self.weight(f"{r}.1"), p[f"{r}.1.b"], stride=2))
            skip = F.conv2d(fir(x, 1, 1, 1.0)[:, :, ::2, ::2], self.weight(f"{r}.skip"))
            x = (y + skip) * math.sqrt(0.5)
            r //= 2
        N, C, H, W = x.shape
        G = min(4, N)
        std = x.reshape(G, N // G, C, H, W)
        std = (std - std.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
        x = torch.cat([x, std.reshape(-1, 1, 1, 1).repeat(G, 1, H, W)], 1)
        x = lrelu(F.conv2d(x, self.weight("conv"), p["conv.b"], padding=1))
        x = lrelu(F.linear(x.flatten(1), self.weight("fc"), p["fc.b"]))
        return F.linear(x, self.weight("out"), p["out.b"])


# ---- LPIPS ---------------------------------------------------------------------------------------------------------------

VGG = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512), (512, 512, 512, 512))


class Lpips:
    def __init__(self):
        self.blocks = [[(torch.randn(o, i, 3, 3) * math.sqrt(2.0 / (9.0 * i)), torch.zeros(o))
                        for i, o in zip(widths, widths[1:])] for widths in VGG]
        self.shift = torch.tensor([-0.030, -0.088, -0.188]).reshape(1, 3, 1, 1)
        self.scale = torch.tensor([0.458, 0.448, 0.450]).reshape(1, 3, 1, 1)

    def to(self, memory_format):
        self.blocks = [[(w.contiguous(memory_format=memory_format), b) for w, b in block] for block in self.blocks]

    def taps(self, x):
        x, out = (x - self.shift) / self.scale, []
        for block in self.blocks:
            x = F.max_pool2d(x, 2) if out else x
            for w, b in block:
                x = F.relu(F.conv2d(x, w, b, padding=1), inplace=True)
            out.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return out

    def distance(self, a, b):
        return sum((x - y).square().sum(1).mean((1, 2)) for x, y in zip(a, b))


# ---- DeepLabV3 -----------------------------------------------------------------------------------------------------------


def conv_norm(I, O, k, stride=1, dilation=1, relu=True):
    layers = [torch.nn.Conv2d(I, O, k, stride, dilation * (k // 2), dilation, bias=False), torch.nn.BatchNorm2d(O)]
    return torch.nn.Sequential(*layers, *([torch.nn.ReLU(inplace=True)] if relu else []))


class Block(torch.nn.Module):
    def __init__(self, I, O, stride, dilations):
        super().__init__()
        self.inner = torch.nn.Sequential(conv_norm(I, O, 3, stride, dilations[0]),
                                         conv_norm(O, O, 3, 1, dilations[1], relu=False))
        same = I == O and stride == 1
        self.shortcut = torch.nn.Identity() if same else conv_norm(I, O, 1, stride, relu=False)

    def forward(self, x):
        return F.relu(self.inner(x).add_(self.shortcut(x)), inplace=True)


class DeepLab(torch.nn.Module):
    """One block a stage, images of 33 to 64 pixels: output stride 4. C channels in the first stage, K classes."""

    def __init__(self, size, C, K):
        super().__init__()
        blocks = [Block(C, C, 1, (1, 1)), Block(C, 2 * C, 2, (1, 1)), Block(2 * C, 4 * C, 1, (1, 2)),
                  Block(4 * C, 4 * C, 1, (2, 4))]
        A, rates = 2 * C, [max(1, round(12 * i * (size / 4) / 64)) for i in (1, 2, 3)]
        self.backbone = torch.nn.Sequential(conv_norm(3, C, 3, 2), *blocks)
        self.branches = torch.nn.ModuleList([conv_norm(4 * C, A, 1)] +
                                            [conv_norm(4 * C, A, 3, 1, rate) for rate in rates])
        self.pooled = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), conv_norm(4 * C, A, 1))
        self.head = torch.nn.Sequential(conv_norm(5 * A, A, 1), torch.nn.Dropout(0.1), conv_norm(A, A, 3),
                                        torch.nn.Conv2d(A, K, 1))

    def forward(self, image):
        x = self.backbone(image)
        branches = [branch(x) for branch in self.branches] + [self.pooled(x).expand(-1, -1, *x.shape[2:])]
        return F.interpolate(self.head(torch.cat(branches, 1)), size=image.shape[2:], mode="bilinear",
                             align_corners=False)
