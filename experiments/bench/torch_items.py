#!/usr/bin/env python3
"""The items of bench.c in PyTorch: python3 torch_items.py ITEM THREADS, as peer.py starts it. Random weights. Where there is
more than one usual way to do an item (modulation fused or not, hypercolumn formed or commuted, memory format), each is
tried and the fastest serves. They are tried in a process of their own (--try), so that this one's peak memory is that of
the way that serves."""
import json
import os
import re
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

from torch_networks import DeepLab, Discriminator, Generator, Lpips, channels


def settle():
    """Waits for the device; on the cpu there is nothing to wait for."""


def synthesis(size, most, N):
    G = Generator(size, most)
    w = torch.randn(N, G.rows, 512)

    def run(fused):
        with torch.no_grad():
            G.synthesize(w, fused)

    return {"fused": lambda: run(True), "unfused": lambda: run(False)}


class GanStep:
    """Two iterations, the first with R1; the time of 16 is extrapolated as bench_generator.c does it."""

    def __init__(self, size, most, N):
        self.G, self.D, self.ema, self.N = Generator(size, most), Discriminator(size, most), Generator(size, most), N
        self.size = size
        self.opt = []
        for network, k in ((self.G, 0.0), (self.D, 16.0)):
            network.p.require()
            c = k / (k + 1.0) if k else 1.0
            leaves = [p for p in network.p.values() if p.requires_grad]
            self.opt.append(torch.optim.Adam(leaves, lr=0.002 * c, betas=(0.0, 0.99**c), eps=1e-8))

    def fake(self):
        G, L = self.G, self.G.rows
        w = G.map(torch.randn(self.N, 512))
        w_plus = w[:, None].expand(-1, L, -1)
        if torch.rand(()) < 0.9:
            cut = int(torch.randint(1, L, ()))
            other = G.map(torch.randn(self.N, 512))[:, None].expand(-1, L, -1)
            w_plus = torch.cat([w_plus[:, :cut], other[:, cut:]], 1)
        return G.synthesize(w_plus, False, True)

    def update(self, which):
        for p in (self.G, self.D)[which].p.values():
            if p.grad is not None:
                torch.nan_to_num(p.grad, nan=0.0, posinf=1e5, neginf=-1e5, out=p.grad)
        self.opt[which].step()
        self.opt[which].zero_grad(set_to_none=True)

    def iteration(self, regularise):
        G, D = self.G.p, self.D.p
        D.require(False)
        F.softplus(-self.D(self.fake())).mean().backward()
        self.update(0)
        D.require(True)
        with torch.no_grad():
            fake = self.fake()
        real = torch.randint(0, 256, (self.N, 3, self.size, self.size), dtype=torch.uint8).float() / 127.5 - 1.0
        F.softplus(self.D(fake)).mean().backward()
        F.softplus(-self.D(real)).mean().backward()
        self.update(1)
        if regularise:
            x = real.requires_grad_(True)
            (g,) = torch.autograd.grad(self.D(x).sum(), x, create_graph=True)
            (g.square().sum((1, 2, 3)).mean() * 0.05 * 16.0).backward()
            self.update(1)
        with torch.no_grad():
            for name, p in self.ema.p.items():
                p.lerp_(G[name], 0.001)

    def __call__(self):
        times = []
        for regularise in (True, False):
            settle()
            start = time.perf_counter()
            self.iteration(regularise)
            settle()
            times.append(time.perf_counter() - start)
        return times[0] + 15.0 * times[1]


def lpips(size, N, backward):
    net, last = Lpips(), torch.channels_last
    plain = torch.contiguous_format

    def run(memory_format):
        net.to(memory_format)
        x = a.contiguous(memory_format=memory_format).requires_grad_(backward)
        y = b.contiguous(memory_format=memory_format)
        with torch.set_grad_enabled(backward):
            d = net.distance(net.taps(x), net.taps(y)).sum()
            if backward:
                d.backward()

    a, b = torch.randn(N, 3, size, size), torch.randn(N, 3, size, size)
    return {"contiguous": lambda: run(plain), "channels_last": lambda: run(last)}


def inversion(size, loss_size):
    G, net = Generator(size, 512), Lpips()
    target = torch.randn(1, 3, loss_size, loss_size)
    w = torch.randn(1, G.rows, 512).requires_grad_()
    adam = torch.optim.Adam([w], lr=1e-3)
    taps = {}  # of the target, kept; by memory format

    def run(fused, memory_format):
        net.to(memory_format)
        if memory_format not in taps:
            with torch.no_grad():
                taps[memory_format] = net.taps(target.contiguous(memory_format=memory_format))
        image = G.synthesize(w, fused)
        image = F.avg_pool2d(image, size // loss_size) if size > loss_size else image
        seen = net.taps(image.contiguous(memory_format=memory_format))
        loss = net.distance(seen, taps[memory_format]).sum() + F.mse_loss(image, target)
        adam.zero_grad()
        loss.backward()
        adam.step()

    plain, last = torch.contiguous_format, torch.channels_last
    return {"unfused": lambda: run(False, plain), "fused": lambda: run(True, plain),
            "unfused, channels_last": lambda: run(False, last)}


# ---- segmentation --------------------------------------------------------------------------------------------------------


def segmentation(size, N, what):
    def ways(memory_format):
        net = DeepLab(size, 16, 8).to(memory_format=memory_format)
        x = torch.randn(N, 3, size, size).contiguous(memory_format=memory_format)
        labels = torch.randint(0, 8, (N, size, size))
        images = torch.randint(0, 256, (N, size, size, 3), dtype=torch.uint8)
        mean, std = torch.tensor([0.485, 0.456, 0.406]) * 255.0, torch.tensor([0.229, 0.224, 0.225]) * 255.0
        adam = torch.optim.Adam(net.parameters(), lr=1e-3)

        def train():
            adam.zero_grad(set_to_none=True)
            F.cross_entropy(net(x), labels).backward()
            adam.step()

        def infer():
            with torch.inference_mode():
                pixels = ((images.float() - mean) / std).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
                net(pixels).argmax(1).to(torch.uint8)

        net.train(what == "train")
        return train if what == "train" else infer

    return {"contiguous": ways(torch.contiguous_format), "channels_last": ways(torch.channels_last)}


# ---- label head ----------------------------------------------------------------------------------------------------------

MEMBERS, H1, H2, CLASSES = 10, 256, 32, 19


def head(C, H1=H1, H2=H2, K=CLASSES):
    layers = [torch.nn.Linear(C, H1), torch.nn.ReLU(), torch.nn.BatchNorm1d(H1), torch.nn.Linear(H1, H2), torch.nn.ReLU(),
              torch.nn.BatchNorm1d(H2), torch.nn.Linear(H2, K)]
    return torch.nn.Sequential(*layers)


def resized(x, size):
    return x if x.shape[-2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def head_inference(size, C, H1=H1, H2=H2, K=CLASSES):
    """Labels of size = (height, width)."""
    if C == 700:
        maps = [torch.randn(1, 70, h, h) for h in (4, 4, 8, 8, 16, 16, 32, 32, 64, 64)]
    else:
        maps = [torch.randn(1, channels(4 << i, 512), 4 << i, 4 << i) for i in range(9) for _ in range(2)]
        maps[2:] = [torch.randn(1, channels(h // 2, 512) if k == 0 else channels(h, 512), h, h)
                    for h in (8, 16, 32, 64, 128, 256, 512, 1024) for k in (1, 1)]
        maps = maps[:-2] if C == 6016 else maps
    heads = [head(C, H1, H2, K).eval() for _ in range(MEMBERS)]
    first = torch.cat([h[0].weight for h in heads]).detach()
    first_bias = torch.cat([h[0].bias for h in heads]).detach()
    pixels = size[0] * size[1]

    def finish(logits):
        """(members, pixels, classes) -> label by vote, JS divergence, score."""
        p = logits.softmax(-1)
        votes = F.one_hot(logits.argmax(-1), K).sum(0).argmax(-1)
        mean = p.mean(0)
        js = (p * (p + 1e-12).log()).sum(-1).mean(0) - (mean * (mean + 1e-12).log()).sum(-1)
        return votes, js, js.topk(pixels // 10).values.mean()

    @torch.no_grad()
    def naive():
        x = torch.cat([resized(m, size) for m in maps], 1)[0].flatten(1).t().contiguous()
        return finish(torch.stack([h(x) for h in heads]))

    @torch.no_grad()
    def commuted():
        total, at, groups = first_bias[:, None, None].expand(-1, *size).clone()[None], 0, {}
        for m in maps:
            y = m if m.shape[-1] * m.shape[-2] <= pixels else resized(m, size)
            rows = first[:, at:at + m.shape[1]] @ y[0].flatten(1)
            at += m.shape[1]
            h = tuple(y.shape[-2:])
            groups[h] = groups[h].add_(rows) if h in groups else rows
        for h, rows in groups.items():
            total += resized(rows.reshape(1, -1, *h), size)
        hidden = total[0].flatten(1).reshape(MEMBERS, H1, -1)
        return finish(torch.stack([net[1:](x.t().contiguous()) for net, x in zip(heads, hidden)]))

    return {"naive": naive, "commuted": commuted}


def head_training(batch, C):
    net = head(C).train()
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    x = [torch.randn(batch, C) for _ in range(4)]
    labels, turn = torch.randint(0, CLASSES, (batch,)), [0]

    def run():
        turn[0] = (turn[0] + 1) % 4
        adam.zero_grad(set_to_none=True)
        F.cross_entropy(net(x[turn[0]]), labels).backward()
        adam.step()

    return {"ready batches": run}


# ---- ceilings ------------------------------------------------------------------------------------------------------------


def product(n):
    a, b, c = torch.randn(n, n), torch.randn(n, n), torch.empty(n, n)
    return {"mm": lambda: torch.mm(a, b, out=c)}


def convolution(N, C, size, what):
    def ways(memory_format):
        x = torch.randn(N, C, size, size).contiguous(memory_format=memory_format)
        w = torch.randn(C, C, 3, 3).contiguous(memory_format=memory_format)
        g = torch.randn(N, C, size, size).contiguous(memory_format=memory_format)
        mask = {"data": [True, False, False], "weights": [False, True, False]}
        if what == "fwd":
            return lambda: F.conv2d(x, w, padding=1)
        return lambda: torch.ops.aten.convolution_backward(g, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1,
                                                           mask[what])

    return {"contiguous": ways(torch.contiguous_format), "channels_last": ways(torch.channels_last)}


def find(item):
    """The ways to do an item: name -> function."""
    def numbers(pattern):
        m = re.fullmatch(pattern, item)
        return [int(g) if g.isdigit() else g for g in m.groups()] if m else None

    n = numbers(r"synth_(\d+)_(?:c(\d+)_)?n(\d+)") if "_c" in item else None
    if n:
        return synthesis(*n)
    n = numbers(r"synth_(\d+)_n(\d+)")
    if n:
        return synthesis(n[0], 512, n[1])
    n = numbers(r"lpips_(\d+)_n(\d+)_(fwd|fwdbwd)")
    if n:
        return lpips(n[0], n[1], n[2] == "fwdbwd")
    n = numbers(r"invert_(\d+)_n1")
    if n:
        return inversion(n[0], min(n[0], 512))
    n = numbers(r"head_infer_(\d+)")
    if n:
        ways = head_inference((n[0], n[0]), 700 if n[0] == 64 else 6080)
        # with 6080 channels at 256 the hypercolumn way has 8.6 times the FLOPs
        return ways if n[0] == 64 else {"commuted": ways["commuted"]}
    if item == "label_infer_512":
        return head_inference((512, 512), 6080)
    if item == "label_infer_cars":
        return head_inference((384, 512), 6016, 512, 256, 10)
    n = numbers(r"head_train_(\d+)")
    if n:
        return head_training(n[0], 6080)
    n = numbers(r"deeplab_(\d+)_n(\d+)_(infer|train)")
    if n:
        return segmentation(*n)
    n = numbers(r"gan_(\d+)_n(\d+)")
    if n:
        return {"unfused": GanStep(n[0], 64 if n[0] < 256 else 512, n[1])}
    n = numbers(r"sgemm_(\d+)")
    if n:
        return product(n[0])
    n = numbers(r"conv3x3_n(\d+)_c(\d+)_s(\d+)_(fwd|data|weights)")
    if n:
        return convolution(*n)
    raise SystemExit(f"torch_items.py: no item {item}")


def once(way):
    start, cpu = time.perf_counter(), time.process_time()
    seconds = way()
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return (wall, cpu) if not isinstance(seconds, float) else (seconds, cpu * seconds / wall)


def peak_rss():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024)


def try_all(ways):
    """CPU seconds of each way. All are warm before any is timed; short ones count by the best of three."""
    warm = [once(way)[1] for way in ways.values()]
    return {name: min(once(way)[1] for _ in range(3 if max(warm) < 1.0 else 1)) for name, way in ways.items()}


def serve(way):
    for _ in sys.stdin:
        runs, start = [], time.perf_counter()
        while not runs or time.perf_counter() - start < 0.1:
            runs.append(once(way))
        print(*(f"{sum(r[i] for r in runs) / len(runs):.9g}" for i in range(2)), flush=True)


def main():
    item, threads = sys.argv[1:3]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    ways = find(item)
    if sys.argv[3:4] == ["--way"]:
        ways = {sys.argv[4]: ways[sys.argv[4]]}
    if sys.argv[3:] == ["--try"]:
        print(json.dumps(try_all(ways)))
        return
    trial = {}
    if len(ways) > 1:
        trial = json.loads(subprocess.check_output([sys.executable, __file__, item, threads, "--try"],
                                                    stdin=subprocess.DEVNULL))
    variant = min(ways, key=lambda name: trial.get(name, 0.0))
    once(ways[variant])  # warms up
    print("ready", flush=True)
    serve(ways[variant])
    malloc = "jemalloc" if "jemalloc" in os.environ.get("LD_PRELOAD", "") else "libc"
    print(json.dumps({"variant": variant, "trial": trial, "peak_rss_mb": peak_rss(), "version": torch.__version__,
                      "malloc": malloc}))


if __name__ == "__main__":
    main()
