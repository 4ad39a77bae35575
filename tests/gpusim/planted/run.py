#!/usr/bin/env python3
"""Tests of the simulator's checks: each program of this folder is built with its mistake (-DBUG) and without, and runs on
the simulator in forward, reverse and random order. With the mistake: every report names a check and a line that a comment
HERE: CHECK marks, one at least comes, exit status 86. Without: no report, the right result, exit status 0.

    run.py [--build build] [--lib DIR] [--jobs N] [NAME...]     prints "ok NAME", "not ok NAME: why" or "skip NAME: why"
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDERS = ["order=forward", "order=reverse"] + [f"order=random,seed={s},preempt=1,slice=3" for s in (1, 2, 3)]
SECONDS = 60  # a run that takes longer hangs; all of them take well under a second
REPORTED = 86


def expected(source):
    """{(check, line): required} of the marks; line 0: of the launch, not of an instruction. What stands in parentheses may
    be reported besides, as a consequence."""
    marks = {}
    for number, line in enumerate(source.read_text().splitlines(), 1):
        if m := re.search(r"/\* HERE: ([a-z -]*?)( at the launch)? ?(?:\(([a-z -]+)\) )?\*/", line):
            marks.update({(check, number): False for check in (m.group(3) or "").split()})
            marks.update({(check, 0 if m.group(2) else number): True for check in m.group(1).split()})
    return marks


def build(source, folder, bug):
    """The program, made anew when its source is younger."""
    program = folder / (source.stem + ("_bug" if bug else ""))
    newest = max(p.stat().st_mtime for p in (source, HERE / "planted.h"))
    if not program.exists() or program.stat().st_mtime < newest:
        subprocess.run(["nvcc", "-std=c++17", "-O3", "-lineinfo", "-gencode", "arch=compute_80,code=compute_80",
                        "--compress-mode=none", "-cudart", "shared", "-Werror", "all-warnings", *(["-DBUG"] if bug else []),
                        "-o", str(program), str(source)], check=True, text=True, capture_output=True)
    return program


def run(program, order, lib):
    """Exit status, output and reports [(check, file, line, text)] of one run."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        env = dict(os.environ, LD_LIBRARY_PATH=str(lib), GPUSIM=f"{order},threads=1,report={report}")
        try:
            done = subprocess.run([str(program)], env=env, text=True, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return None, f"did not end in {SECONDS} s", []
        found = []
        if report.exists():
            for line in report.read_text().splitlines():
                found += [(r["check"], Path(r["file"]).name, r["line"], r["text"]) for r in json.loads(line)["reports"]]
        return done.returncode, done.stdout + done.stderr, found


def judge_bug(source, marks, result):
    status, output, found = result
    if status is None:
        return output
    if not found:
        return f"not reported (exit status {status}): {output.strip()[-300:]}"
    for check, file, line, text in found:
        if (check, 0) not in marks and not (file == source.name and (check, line) in marks):
            return f"reported {check} at {file}:{line} ({text}), marked are " + ", ".join(f"{c}:{n}" for c, n in sorted(marks))
    if not any(marks.get((check, line)) or marks.get((check, 0)) for check, _, line, _ in found):
        return "only consequences were reported: " + "; ".join(f"{c}:{n}" for c, _, n, _ in found)
    return None if status == REPORTED else f"exit status {status} instead of {REPORTED}"


def judge_twin(result):
    status, output, found = result
    if status is None:
        return output
    if found:
        return "falsely reported: " + "; ".join(f"{c} at {f}:{n} ({t})" for c, f, n, t in found)
    if status != 0 or output.splitlines()[:1] != ["right"]:
        return f"exit status {status}: {output.strip()[-300:]}"
    return None


def case(source, folder, lib):
    """Lines of one program's two variants."""
    marks, lines = expected(source), []
    for bug in (True, False):
        name = f"{source.stem}_{'bug' if bug else 'right'}"
        try:
            program = build(source, folder, bug)
        except subprocess.CalledProcessError as error:
            lines.append(f"not ok {name}: nvcc: {(error.stdout + error.stderr).strip()[-500:]}")
            continue
        wrong = []
        for order in ORDERS:
            result = run(program, order, lib)
            why = judge_bug(source, marks, result) if bug else judge_twin(result)
            if why:
                wrong.append(f"{order}: {why}")
        if bug and not marks:
            wrong.append("no mark in the source")
        lines.append(f"not ok {name}: " + " | ".join(wrong) if wrong else f"ok {name}")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path(os.environ.get("BUILD", "build")))
    parser.add_argument("--lib", type=Path, help="folder of the simulator's libcudart.so.13")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if not shutil.which("nvcc"):
        print("skip planted: nvcc is not on this machine")
        return 0
    lib = (args.lib or args.build / "gpusim" / "lib").resolve()
    if not (lib / "libcudart.so.13").exists():
        print(f"not ok planted: {lib}/libcudart.so.13 is missing: make gpusim")
        return 1
    folder = args.build / "gpusim" / "planted"
    folder.mkdir(parents=True, exist_ok=True)
    sources = [s for s in sorted(HERE.glob("*.cu")) if not args.names or s.stem in args.names]
    failed = False
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for lines in pool.map(lambda s: case(s, folder, lib), sources):
            for line in lines:
                print(line, flush=True)
                failed = failed or line.startswith("not ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
