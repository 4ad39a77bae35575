#!/usr/bin/env python3
"""An item of experiments/bench in PyTorch on the GPU: torch_gpu.py ITEM [--device cuda|cpu] [--seconds S]. The networks are
those of experiments/bench/torch_items.py, random weights. Operands are TF32 and cuDNN chooses its algorithms by trial, the
usual way; of several ways to do an item the fastest counts. One JSON line. (--device cpu is for trying this file.)"""
import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))


def settle():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def once(way):
    settle()
    start = time.perf_counter()
    seconds = way()
    settle()
    return seconds if isinstance(seconds, float) else time.perf_counter() - start


def measure(way, budget):
    for _ in range(3):
        once(way)
    times, start = [], time.perf_counter()
    while len(times) < 3 or (len(times) < 50 and time.perf_counter() - start < budget):
        times.append(once(way))
    return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("item")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    if options.device == "cuda":
        torch.set_default_device("cuda")  # before the networks are imported: they make constants
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    import torch_items

    torch_items.settle = settle
    found = {name: measure(way, options.seconds) for name, way in torch_items.find(options.item).items()}
    variant = min(found, key=lambda name: statistics.median(found[name]))
    times = found[variant]
    peak = torch.cuda.max_memory_allocated() / 1e6 if options.device == "cuda" else 0.0
    print(json.dumps({"item": options.item, "variant": variant, "reps": len(times), "median_s": statistics.median(times),
                      "min_s": min(times), "max_s": max(times), "device_mb": round(peak), "torch": torch.__version__,
                      "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu"}))


if __name__ == "__main__":
    main()
