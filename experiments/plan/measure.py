#!/usr/bin/env python3
"""Peak memory of each stage, a process each, beside what `handsoff run CONFIG --dry-run` predicts.

    measure.py [--program bin/handsoff] [--within 15] [--stages a,b] [--log FILE] CONFIG [key=value ...]

A stage's peak is that which it writes into metrics.json (VmHWM). The plan is asked for before each stage with the same keys
and --force, so that it counts stages whose results stand. Ends with status 1 where a prediction is off by more than --within per
cent. The run lies in a folder of its own, which is removed."""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

STAGES = ("import-data train-gan train-encoder finetune-encoder invert train-head generate train-downstream evaluate report").split()


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def peak(folder, stage):
    with open(os.path.join(folder, "metrics.json"), encoding="utf-8") as file:
        return next(s["peak_rss_mb"] for s in json.load(file)["stages"] if s["name"] == stage)


def predicted(program, stage, words):
    """MB of the stage on the cpu target: the first size of the line that begins with its name."""
    status, text = run([program, "run", "--dry-run", "--force", "--stages", stage] + words)
    for line in text.splitlines():
        cells = re.match(r"\s*%s\b.*?([0-9.]+) (MB|GB)" % re.escape(stage), line)
        if cells:
            return float(cells.group(1)) * (1024 if cells.group(2) == "GB" else 1)
    raise SystemExit(f"no size of {stage} in the plan (status {status}):\n{text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="bin/handsoff")
    parser.add_argument("--within", type=float, default=15.0)
    parser.add_argument("--stages", default=",".join(STAGES))
    parser.add_argument("--measure-only", action="store_true")
    parser.add_argument("--log")
    parser.add_argument("words", nargs="+")
    given = parser.parse_args()
    wrong, rows = 0, []
    with tempfile.TemporaryDirectory() as folder:
        words = given.words[:1] + [f"runs_dir={folder}", "name=plan"] + given.words[1:]
        for stage in STAGES:
            guess = None
            if stage in given.stages.split(",") and not given.measure_only:
                guess = predicted(given.program, stage, words)
            status, text = run([given.program, stage] + words)
            if status != 0:
                raise SystemExit(f"{stage}: status {status}\n{text}")
            if stage not in given.stages.split(","):
                continue
            real = peak(os.path.join(folder, "plan"), stage)
            rows.append({"stage": stage, "predicted_mb": guess, "measured_mb": round(real, 1)})
            off = 0.0 if guess is None else 100.0 * (guess / real - 1.0)
            wrong += abs(off) > given.within
            print(f"{stage:18s} predicted {guess or 0:7.0f} MB  measured {real:7.1f} MB  {off:+6.1f} %", flush=True)
    if given.log:
        with open(given.log, "a", encoding="utf-8") as file:
            file.write(json.dumps({"config": given.words[0], "keys": given.words[1:], "stages": rows}) + "\n")
    if wrong:
        raise SystemExit(f"{wrong} of {len(rows)} predictions are off by more than {given.within:g} %")


if __name__ == "__main__":
    sys.exit(main())
