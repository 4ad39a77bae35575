#!/usr/bin/env python3
"""Every library call of the cuda target fails once: the program must say so, leak nothing and go down in order.

The commands below run once undisturbed, and the simulator counts their calls of cudart, cuBLAS and cuDNN. Then each runs
again for every name with GPUSIM=fail=NAME:N, N being the first, the second and the last call (--all: every call up to
20; --quick: first and last, one stage). Demanded: exit status 1 and one line "handsoff: ..." on stderr; no report of the simulator (leaks are reports), no crash, no
hang. Calls in HARMLESS may fail without harm.
Usage: inject.py PROGRAM SIMULATOR_LIBRARIES [--all | --quick] [NAME ...]
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 120
# A graph that cannot be updated is made anew.
HARMLESS = {"cudaGraphExecUpdate"}
# The last of these calls comes when the device is closed and all results are on disk: nobody is left to be told.
CLOSING = {"cudaFree"}
STAGES = ["train-gan", "invert", "train-head"]


def run(command, libraries, options, folder):
    """Exit status, stderr and the simulator's report of one run."""
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    environment = dict(os.environ, LD_LIBRARY_PATH=str(libraries), OMP_NUM_THREADS="2",
                       GPUSIM=f"report={report}" + options)
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return None, "", {"reports": []}
    lines = report.read_text().splitlines() if report.exists() else []
    return done.returncode, done.stderr, json.loads(lines[-1]) if lines else {}


def fault(status, stderr, report, name, last=False):
    """What is wrong with a run in which the call failed; empty: nothing."""
    if status is None:
        return f"hangs for {SECONDS} s"
    if not report:
        return f"no report of the simulator, status {status}: {stderr[-300:]}"
    if report["reports"]:
        return "; ".join(r["check"] + ": " + r["text"] for r in report["reports"][:3])
    if status == 0 and (name in HARMLESS or (name in CLOSING and last)):
        return ""
    if status != 1:
        return f"status {status}: {stderr[-300:]}"
    if sum(line.startswith("handsoff: ") for line in stderr.splitlines()) != 1:
        return f"not one message: {stderr[-300:]}"
    return ""


def self_test():
    good = {"reports": []}
    assert fault(1, "handsoff: cudaMalloc: out of memory\n", good, "cudaMalloc") == ""
    assert fault(0, "", good, "cudaMalloc") != "" and fault(0, "", good, "cudaGraphExecUpdate") == ""
    assert fault(1, "", good, "cudaMalloc") != "" and fault(None, "", good, "x") != "" and fault(-11, "", {}, "x") != ""
    assert fault(1, "handsoff: x\n", {"reports": [{"check": "leak", "text": "t"}]}, "x") != ""


def inject(command, prepare, libraries, folder, label, arguments):
    prepare()
    status, stderr, report = run(command, libraries, "", folder)
    if status != 0:
        print(f"not ok inject {label}: undisturbed it ends with {status}: {stderr[-500:]}")
        return False
    good = True
    for name, count in sorted(report["calls"].items()):
        if arguments.names and name not in arguments.names:
            continue
        few = {1, count} if arguments.quick else {1, min(2, count), count}
        numbers = range(1, min(count, 20) + 1) if arguments.all else sorted(few)
        wrong = []
        for number in numbers:
            prepare()
            why = fault(*run(command, libraries, f",fail={name}:{number}", folder), name, number == count)
            wrong += [f"call {number} of {count}: {why}"] if why else []
        print(f"not ok inject {label} {name}: " + " | ".join(wrong) if wrong else
              f"ok inject {label} {name} ({len(numbers)} of {count})", flush=True)
        good = good and not wrong
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("libraries", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    self_test()
    libraries = arguments.libraries.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made, run_folder = folder / "made", folder / "run"
        config = [arguments.program, "run", str(HERE / "inject.yml"), "--device", "cpu", f"runs_dir={made}"]
        subprocess.run(config + ["--stages", "import-data,train-gan,train-encoder,finetune-encoder,invert,train-head"], check=True,
                       capture_output=True)

        def fresh():
            shutil.rmtree(run_folder, ignore_errors=True)
            shutil.copytree(made, run_folder)

        good = True
        for stage in STAGES[-1:] if arguments.quick else STAGES:
            command = [arguments.program, stage, str(HERE / "inject.yml"), "--device", "cuda", "--force",
                       f"runs_dir={run_folder}"]
            good = inject(command, fresh, libraries, folder, stage, arguments) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
