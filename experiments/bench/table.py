#!/usr/bin/env python3
"""python3 experiments/bench/table.py experiments/bench/peer_DATE.jsonl: the table between the markers of README.md beside
this file, from the log of peer.py. The README is rewritten only there."""
import json
import os
import sys

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
BEGIN, END = "<!-- table.py begins -->\n", "<!-- table.py ends -->\n"


def table(path):
    lines = [json.loads(line) for line in open(path)]
    rows = [line for line in lines if "item" in line]
    first = rows[0]
    yield f"From `{os.path.basename(path)}`: commit {first['commit']}, PyTorch {first['torch_version']}, OpenBLAS core type "
    yield f"{first['core_type']}, {first['malloc']}, {first['threads']} thread(s), load average {first['load']:.0f} at the start "
    yield f"and {rows[-1]['load']:.0f} at the end. Seconds are medians; ratio = PyTorch / ours, above 1: ours is faster.\n\n"
    yield "| item | reps | ours CPU s | PyTorch CPU s | **ratio, CPU** | ratio, clock | ours GFLOP/s (CPU) | ours MiB | PyTorch MiB | PyTorch's way |\n"
    yield "|---|---|---|---|---|---|---|---|---|---|\n"
    for r in rows:
        a, b = r["ours"], r["torch"]
        yield (f"| {r['item']} | {r['reps']} | {a['cpu_median_s']:.4g} | {b['cpu_median_s']:.4g} | **{r['ratio_cpu']:.2f}** | "
               f"{r['ratio']:.2f} | {r['gflop'] / a['cpu_median_s']:.0f} | {a['peak_rss_mb']:.0f} | {b['peak_rss_mb']:.0f} | "
               f"{b['variant']} |\n")


def main():
    text = open(README).read()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with open(README, "w") as out:
        out.write(head + BEGIN + "\n" + "".join(table(sys.argv[1])) + "\n" + END + tail)


if __name__ == "__main__":
    main()
