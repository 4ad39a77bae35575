#!/usr/bin/env python3
"""The whole pipeline on both targets: cpu, and cuda on the simulator with CUDA graphs on and off.

Graphs on and off must give the same bits. cuda and cpu differ by rounding; how much is kept for every data set of every
artefact in ledger.json beside this file, and an error half as large again fails. `--update` writes the ledger anew.
Usage: demo.py PROGRAM SIMULATOR_LIBRARIES [--update] [--keep FOLDER]
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
LEDGER = HERE / "ledger.json"
# Each variant: device, GPUSIM options, further words of the command line. tf32 repeats, on the cpu's results, the stages
# that only go forward: what trainings come to after a few steps with rounded products says nothing.
VARIANTS = {
    "cpu": ("cpu", "", []),
    "graphs": ("cuda", "order=forward", ["precision=fp32"]),
    "no_graphs": ("cuda", "order=reverse", ["precision=fp32", "graphs=false"]),
    "tf32": ("cuda", "order=random,seed=1", ["precision=tf32", "--force", "--stages", "generate,evaluate"]),
}
# An error below this is rounding that may differ from processor to processor.
FLOOR = 2e-6
# Data sets whose values are all smaller than this are compared on this scale: Adam's first steps divide a gradient by its
# own size, so that rounding in one near zero moves a parameter by a whole step, and parameters that began at 0 consist
# of a few such steps.
SCALE = 0.05


def run(program, libraries, folder, variant):
    device, options, words = VARIANTS[variant]
    if "--stages" in words:
        shutil.copytree(folder / "cpu", folder / variant)
    environment = dict(os.environ, OMP_NUM_THREADS="2")
    if device == "cuda":
        environment.update(LD_LIBRARY_PATH=str(libraries), GPUSIM=options)
    command = [program, "run", str(HERE / "demo.yml"), f"runs_dir={folder / variant}", "--device", device, *words]
    with open(folder / f"{variant}.log", "w") as log:
        status = subprocess.run(command, env=environment, stdout=log, stderr=log).returncode
    text = (folder / f"{variant}.log").read_text()
    return status, text


def datasets(folder):
    """{"latents.h5:w_plus": array} of all artefacts of a run."""
    found = {}
    for path in sorted(folder.rglob("*.h5")):
        name = str(path.relative_to(folder))
        if "checkpoints/" in name or "report/" in name:
            continue
        with h5py.File(path, "r") as file:
            file.visititems(lambda key, item: found.update({f"{name}:{key}": item[()]})
                            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" else None)
    return found


def difference(a, b):
    """Floats: largest difference over largest value, or over SCALE. Whole numbers: fraction that differs."""
    if a.shape != b.shape:
        return float("inf")
    if a.size == 0:
        return 0.0
    if a.dtype.kind in "iu":
        return float(np.mean(a != b))
    a, b = a.astype(np.float64), b.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    return float(np.max(np.abs(a - b)) / max(np.max(np.abs(a)), SCALE))


def self_test():
    a = np.array([1.0, 2.0, 4.0], np.float32)
    assert difference(a, a) == 0.0
    assert abs(difference(a, a + np.float32([0, 0, 0.04])) - 0.01) < 1e-6
    assert abs(difference(np.zeros(2, np.float32), np.float32([0, 0.01])) - 0.01 / SCALE) < 1e-6
    assert difference(a, np.array([1.0, np.nan, 4.0], np.float32)) == float("inf")
    assert difference(a, a[:2]) == float("inf")
    assert difference(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25


def check(name, good, why=""):
    print(f"ok {name}" if good else f"not ok {name}: {why}", flush=True)
    return good


def compare(label, reference, other, budget_of):
    """One check an artefact: the error of every data set is within budget_of(key). Returns (all good, errors)."""
    if set(reference) != set(other) or not reference:
        return check(f"{label}: same data sets", False, sorted(set(reference) ^ set(other)) or "none at all"), {}
    errors = {key: difference(value, other[key]) for key, value in reference.items()}
    good = True
    for file in sorted({key.split(":")[0] for key in errors}):
        over = [f"{key} {error:.2e} > {budget_of(key):.2e}" for key, error in errors.items()
                if key.split(":")[0] == file and not error <= budget_of(key)]
        good &= check(f"{label}: {file}", not over, "; ".join(over[:5]))
    return good, errors


def compare_all(results, update):
    good, _ = compare("graphs on and off, orders", results["graphs"], results["no_graphs"], lambda key: 0.0)
    ledger = json.loads(LEDGER.read_text()) if LEDGER.exists() else {}
    for variant, label in (("graphs", "fp32"), ("tf32", "tf32")):
        known = ledger.get(label, {})
        budget = (lambda key: float("inf")) if update else (lambda key, k=known: 1.5 * max(k.get(key, 0.0), FLOOR))
        fine, errors = compare(f"{label} and cpu", results["cpu"], results[variant], budget)
        good &= fine
        ledger[label] = {key: float(f"{value:.2e}") for key, value in sorted(errors.items())}
    if update:
        LEDGER.write_text(json.dumps(ledger, indent=1) + "\n")
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("libraries", type=Path)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    self_test()
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for variant in VARIANTS:
            status, text = run(arguments.program, arguments.libraries.resolve(), folder, variant)
            if check(f"{variant}: runs", status == 0, f"status {status}: {text[-2000:]}"):
                results[variant] = datasets(folder / variant / "demo")
    if len(results) < len(VARIANTS):
        return 1
    return 0 if compare_all(results, arguments.update) else 1


if __name__ == "__main__":
    sys.exit(main())
