#!/usr/bin/env python3
"""Takes turns with PyTorch on the items of bench.c: one repetition of ours, one of PyTorch's, and so on.

    python3 experiments/bench/peer.py --bench build/bench [--items synth_256_n1,lpips_64] [--threads 2] [--reps 5]
                                      [--seconds 20] [--log FILE]

Each side of an item runs in a process of its own (peak memory is its own), PyTorch's with the OpenBLAS core type of this
CPU and, where installed, jemalloc that keeps its pages. One JSON line an item: seconds by the clock and of CPU, medians,
the ratio PyTorch / ours (above 1: ours is faster), peak memory of both. On a busy machine CPU seconds with one thread are
the ones to trust."""
import argparse
import datetime
import glob
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def core_type():
    flags = open("/proc/cpuinfo").read()
    if "avx512_bf16" in flags:
        return "COOPERLAKE"
    return "SKYLAKEX" if "avx512f" in flags else "HASWELL" if "avx2" in flags else ""


def torch_environment(threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    if core_type():
        env["OPENBLAS_CORETYPE"] = core_type()
    found = glob.glob("/usr/lib/*/libjemalloc.so.2")
    if found:
        env["LD_PRELOAD"] = found[0]
        env["MALLOC_CONF"] = "oversize_threshold:0,dirty_decay_ms:-1,muzzy_decay_ms:-1"
    return env


class Side:
    """A process that answers a line with "wall cpu" of one repetition."""

    def __init__(self, command, env):
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wall, self.cpu = [], []

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise RuntimeError("a measuring process ended")
        return text

    def turn(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        wall, cpu = (float(v) for v in self.line().split())
        self.wall.append(wall)
        self.cpu.append(cpu)
        return wall

    def end(self):
        self.process.stdin.close()
        summary = json.loads(self.line())
        self.process.wait()
        return summary

    def numbers(self):
        return {"median_s": statistics.median(self.wall), "min_s": min(self.wall), "max_s": max(self.wall),
                "cpu_median_s": statistics.median(self.cpu), "cpu_min_s": min(self.cpu)}


def compare(item, options):
    sides = []
    try:
        # one after the other, so that neither's preparation disturbs the other's warm-up
        for command, env in (
                ([options.bench, "--threads", str(options.threads), "--serve", item], dict(os.environ)),
                ([sys.executable, os.path.join(HERE, "torch_items.py"), item, str(options.threads)],
                 torch_environment(options.threads))):
            sides.append(Side(command, env))
            sides[-1].line()
        ours, theirs = sides
        start = time.monotonic()
        while len(ours.wall) < 2 or (len(ours.wall) < options.reps and time.monotonic() - start < options.seconds):
            ours.turn()
            theirs.turn()
        a, b = ours.end(), theirs.end()
    finally:
        for side in sides:
            if side.process.poll() is None:
                side.process.kill()
    mine = dict(ours.numbers(), peak_rss_mb=a["peak_rss_mb"])
    yours = dict(theirs.numbers(), peak_rss_mb=b["peak_rss_mb"], variant=b["variant"], trial=b["trial"])
    return {"item": item, "shape": a["shape"], "reps": len(ours.wall), "threads": options.threads, "gflop": a["gflop"],
            "ours": mine, "torch": yours, "ratio": yours["median_s"] / mine["median_s"],
            "ratio_cpu": yours["cpu_median_s"] / mine["cpu_median_s"], "load": os.getloadavg()[0],
            "commit": a["commit"], "torch_version": b["version"], "core_type": core_type(), "malloc": b["malloc"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", default="build/bench")
    parser.add_argument("--items", default="", help="names or beginnings of names, separated by commas")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0, help="for the repetitions of an item; two in any case")
    parser.add_argument("--log", default="", help="append the lines to this file")
    options = parser.parse_args()
    wanted = tuple(options.items.replace(",", " ").split()) or ("",)
    items = [i for i in subprocess.check_output([options.bench, "--list"], text=True).split() if i.startswith(wanted)]
    lines = [{"command": " ".join(sys.argv), "date": datetime.datetime.now().isoformat(timespec="seconds")}]
    for line in [None] + items:
        if line is not None:
            lines.append(compare(line, options))
        print(json.dumps(lines[-1]), flush=True)
        if options.log:
            with open(options.log, "a") as log:
                log.write(json.dumps(lines[-1]) + "\n")


if __name__ == "__main__":
    main()
