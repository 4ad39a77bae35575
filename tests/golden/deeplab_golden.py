#!/usr/bin/env python3
"""Golden files of the segmentation network: python3 deeplab_golden.py FOLDER  writes deeplab_HxW.h5 (PyTorch, float64).

Each is a network file as include/handsoff/deeplab.h describes it, with random narrow weights and running statistics, and
  golden/x (N,H,W,3);  golden/logits (N,H,W,K) in evaluation mode;  golden/g_x: gradient of sum logits * golden/seed,
  golden/seed (N,H,W,K).
Weights, statistics and x are exact in float32; everything else is computed in float64."""
import sys

import h5py
import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def conv_norm(i, o, k, stride=1, dilation=1):
    return nn.Conv2d(i, o, k, stride, dilation * (k // 2), dilation, bias=False), nn.BatchNorm2d(o)


class Block(nn.Module):
    def __init__(self, i, o, stride, first, second):
        super().__init__()
        self.conv1, self.bn1 = conv_norm(i, o, 3, stride, first)
        self.conv2, self.bn2 = conv_norm(o, o, 3, 1, second)
        self.downsample = nn.Sequential(*conv_norm(i, o, 1, stride)) if i != o or stride > 1 else nn.Identity()

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Backbone(nn.Module):
    def __init__(self, C, blocks, side):
        super().__init__()
        self.stride = 1 if side <= 32 else 2
        self.pool = side > 64
        self.conv1, self.bn1 = conv_norm(3, C, 3, self.stride)
        self.output_stride = self.stride * (2 if self.pool else 1) * 2
        i, dilation = C, 1
        for s, o in enumerate((C, 2 * C, 4 * C, 4 * C)):
            layer = []
            for b in range(blocks):
                before = dilation
                dilation *= 2 if s >= 2 and b == 0 else 1
                layer.append(Block(i, o, 2 if s == 1 and b == 0 else 1, before, dilation))
                i = o
            setattr(self, f"layer{s + 1}", nn.Sequential(*layer))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1) if self.pool else x
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Pyramid(nn.Module):
    def __init__(self, i, A, rates):
        super().__init__()
        branches = [nn.Sequential(*conv_norm(i, A, 1), nn.ReLU())]
        branches += [nn.Sequential(*conv_norm(i, A, 3, 1, r), nn.ReLU()) for r in rates]
        branches.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), *conv_norm(i, A, 1), nn.ReLU()))
        self.convs = nn.ModuleList(branches)
        self.project = nn.Sequential(*conv_norm(5 * A, A, 1), nn.ReLU())

    def forward(self, x):
        y = [branch(x) for branch in self.convs]
        y[-1] = F.interpolate(y[-1], x.shape[2:], mode="bilinear", align_corners=False)
        return self.project(torch.cat(y, 1))


class DeepLab(nn.Module):
    def __init__(self, C, blocks, H, W, K):
        super().__init__()
        self.backbone = Backbone(C, blocks, min(H, W))
        stride = self.backbone.output_stride
        side = (min(H, W) + stride - 1) // stride
        rates = [max(1, int(12 * i * side / 64 + 0.5)) for i in (1, 2, 3)]
        self.classifier = nn.Sequential(Pyramid(4 * C, 2 * C, rates), *conv_norm(2 * C, 2 * C, 3), nn.ReLU(),
                                        nn.Conv2d(2 * C, K, 1))

    def forward(self, x):
        return F.interpolate(self.classifier(self.backbone(x)), x.shape[2:], mode="bilinear", align_corners=False)


def randomise(network, generator):
    for name, t in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if t.dim() == 4:
            value = torch.randn(t.shape, generator=generator) * (2.0 / t[0].numel()) ** 0.5
        elif name.endswith("running_var") or name.endswith("weight"):
            value = torch.rand(t.shape, generator=generator) + 0.5
        else:
            value = torch.randn(t.shape, generator=generator) * 0.2
        t.copy_(value.float().double())


def write(path, C, blocks, N, H, W, K, seed):
    generator = torch.Generator().manual_seed(seed)
    network = DeepLab(C, blocks, H, W, K).eval()
    randomise(network, generator)
    x = torch.randn(N, 3, H, W, generator=generator).float().double().requires_grad_()
    weight = torch.randn(N, K, H, W, generator=generator).float().double()
    logits = network(x)
    (logits * weight).sum().backward()
    with h5py.File(path, "w") as f:
        shape = {"channels": C, "blocks": blocks, "height": H, "width": W, "classes": K}
        f.attrs["network"] = "deeplabv3"
        for key, value in shape.items():
            f.attrs[key] = float(value)
        for name, t in network.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                f[name] = t.float().numpy()
        for name, t in {"x": x, "logits": logits, "g_x": x.grad, "seed": weight}.items():
            f["golden/" + name] = t.detach().permute(0, 2, 3, 1).float().numpy()


if __name__ == "__main__":
    folder = sys.argv[1]
    write(f"{folder}/deeplab_24x20.h5", 4, 2, 2, 24, 20, 3, 1)
    write(f"{folder}/deeplab_40x48.h5", 4, 1, 1, 40, 48, 5, 2)
    write(f"{folder}/deeplab_66x70.h5", 3, 1, 1, 66, 70, 3, 3)
