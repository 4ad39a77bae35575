#!/usr/bin/env python3
"""Whole runs on the cuda target compared with the cpu target: runs.py small|demo --out FOLDER

small: every stage at 16 pixels (tests/gpusim/demo/demo.yml) on both targets. CUDA graphs on and off give the same bits;
       float data sets differ from the cpu's by at most TOLERANCE of their largest value, whole numbers (pixels, labels) in
       at most that share of the elements, and metrics by METRIC. Learned weights and the head's uncertainty are shown,
       not judged: Adam's first steps have the length lr whatever the gradient is, so that one which is nothing but
       rounding moves a weight as far as another.
demo:  configs/toy_faces.yml, its metrics within METRIC of those in experiments/toy_faces/metrics.json, which the cpu target
       made; again without graphs, if time is left: the same bits.
Prints "ok", "not ok" and "skip" lines, and each data set's difference."""
import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/gpusim/demo"))
TOLERANCE = {"fp32": 1e-3, "tf32": 5e-2}
METRIC = 0.05
LEARNED = ("generator", "encoder", "head_", "downstream/", "train-", "evaluation")  # and what follows from it
UNCERTAIN = ("uncertainty", "score", "js")


def run(name, config, options, keys, device, limit):
    folder = options.out / name
    command = ["bin/handsoff", "run", config, f"runs_dir={folder}", "--device", device, *keys]
    start = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return check(f"{name} runs", False, f"not done after {limit:.0f} s: {' '.join(command)}") and folder
    print(f"  {' '.join(command)}: {time.monotonic() - start:.1f} s")
    said = done.stdout[-2000:] if done.returncode else ""
    return folder if check(f"{name} runs", done.returncode == 0, f"status {done.returncode}: {said}") else None


def check(name, good, why=""):
    why = " | ".join(why.strip().splitlines()[-6:])
    print(f"ok {name}" if good else f"not ok {name}: {why}", flush=True)
    return good


def compare(label, a, b, budget):
    from demo import datasets, difference
    first, second = datasets(a), datasets(b)
    if not first or set(first) != set(second):
        return check(label, False, f"data sets: {sorted(set(first) ^ set(second)) or 'none at all'}")
    errors = {key: difference(value, second[key]) for key, value in first.items()}
    for key, error in sorted(errors.items(), key=lambda item: -item[1]):
        print(f"  {label}: {key} {error:.3g}, allowed {budget(key):.3g}")
    over = [f"{key} {error:.3g}" for key, error in errors.items() if not error <= budget(key)]
    return check(f"{label}, {len(errors)} data sets", not over, "; ".join(over[:8]))


def judged(key):
    file, name = key.split(":")
    return not any(word in file for word in LEARNED) and name.split("/")[-1] not in UNCERTAIN


def metrics(folder):
    found = sorted(folder.rglob("metrics.json"))
    return numbers(json.loads(found[0].read_text())) if found else {}


def compare_metrics(label, want, got):
    means = {key: value for key, value in want.items() if any(word in key for word in ("miou", "lpips", "mse", "accuracy"))}
    over = [f"{key} {got.get(key)}, cpu {value}" for key, value in sorted(means.items())
            if not abs(got.get(key, 1e9) - value) <= METRIC * max(1.0, abs(value))]
    return check(f"{label}, {len(means)} metrics", bool(means) and not over, "; ".join(over[:4]) or "there are none")


def small(options):
    config = "tests/gpusim/demo/demo.yml"
    keys = ["precision=fp32"]
    if options.quick:
        keys += ["--stages", "import-data,train-gan"]
    if options.simulated:
        os.environ["GPUSIM"] = ",".join(filter(None, [os.environ.get("GPUSIM"), "order=forward"]))
    cpu = run("cpu", config, options, keys, "cpu", 60)
    graphs = run("cuda with graphs", config, options, keys, "cuda", 100)
    eager = run("cuda without graphs", config, options, keys + ["graphs=false"], "cuda", 100)
    if graphs and eager:
        compare("graphs on and off", graphs, eager, lambda key: 0.0)
    variants = [("fp32", graphs)]
    if not options.simulated:
        variants.append(("tf32", run("cuda with tf32", config, options, ["precision=tf32"], "cuda", 100)))
    for precision, folder in variants:
        if cpu and folder:
            compare(f"{precision} and cpu", cpu, folder, lambda key, p=precision: TOLERANCE[p] if judged(key) else float("inf"))
            if not options.quick:
                compare_metrics(f"{precision} and cpu", metrics(cpu), metrics(folder))


def numbers(value, path=""):
    """{"path.to.number": value} of what json.load gave."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in numbers(item, f"{path}.{key}").items()}
    if isinstance(value, list):
        return {k: v for i, item in enumerate(value) for k, v in numbers(item, f"{path}.{i}").items()}
    return {path: value} if isinstance(value, float) else {}


def demo(options):
    end = time.monotonic() + options.seconds
    config = "configs/toy_faces.yml"
    start = time.monotonic()
    graphs = run("demo", config, options, [], "cuda", options.seconds - 5)
    if not graphs:
        return
    took = time.monotonic() - start
    compare_metrics("demo", numbers(json.loads((ROOT / "experiments/toy_faces/metrics.json").read_text())), metrics(graphs))
    if end - time.monotonic() < 1.2 * took + 5:
        print(f"skip demo without graphs: {end - time.monotonic():.0f} s are left, the demo took {took:.0f} s")
        return
    eager = run("demo without graphs", config, options, ["graphs=false"], "cuda", end - time.monotonic())
    if eager:
        compare("demo, graphs on and off", graphs, eager, lambda key: 0.0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["small", "demo"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    try:
        small(options) if options.what == "small" else demo(options)
    except ImportError as missing:
        print(f"skip {options.what}: Python's {missing.name} is missing")


if __name__ == "__main__":
    main()
