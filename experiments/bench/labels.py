#!/usr/bin/env python3
"""Labels of whole images at full size, beside PyTorch's two ways, taking turns in one run.

    labels.py --bench build/bench [--reps 3] [--threads 2] ITEM...        items: label_infer_512, label_infer_cars

naive: the hypercolumn is formed and goes through one member after another, as the original does; commuted: the first layer is
applied before the resampling. One JSON line an item: seconds (median), ratio_naive and ratio_commuted are PyTorch's
seconds over ours (null without PyTorch), added_mb what labelling needs besides the generator's maps and the weights."""
import argparse
import importlib.util
import json
import os
import statistics
import sys

from peer import HERE, Side, core_type, torch_environment

WAYS = ("naive", "commuted")


def measure(item, options):
    commands = [([options.bench, "--threads", str(options.threads), "--serve", item], dict(os.environ))]
    if importlib.util.find_spec("torch"):
        commands += [([sys.executable, os.path.join(HERE, "torch_items.py"), item, str(options.threads), "--way", way],
                      torch_environment(options.threads)) for way in WAYS]
    sides = []
    try:
        for command, env in commands:
            sides.append(Side(command, env))
            sides[-1].line()  # ready, and warm
        for _ in range(options.reps):
            for side in sides:
                side.turn()
        ends = [side.end() for side in sides]
    finally:
        for side in sides:
            if side.process.poll() is None:
                side.process.kill()
    seconds = [statistics.median(side.wall) for side in sides]
    line = {"item": item, "shape": ends[0]["shape"], "reps": options.reps, "threads": options.threads, "seconds": seconds[0],
            "gflops": ends[0]["gflop"] / seconds[0], "peak_rss_mb": ends[0]["peak_rss_mb"], "added_mb": ends[0]["added_mb"]}
    for i, way in enumerate(WAYS, 1):
        line[f"ratio_{way}"] = seconds[i] / seconds[0] if i < len(sides) else None
        line[f"{way}_seconds"] = seconds[i] if i < len(sides) else None
        line[f"{way}_peak_rss_mb"] = ends[i]["peak_rss_mb"] if i < len(sides) else None
    return dict(line, load=os.getloadavg()[0], commit=ends[0]["commit"], core_type=core_type())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="build/bench")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("items", nargs="+")
    options = parser.parse_args()
    for item in options.items:
        print(json.dumps(measure(item, options)), flush=True)


if __name__ == "__main__":
    main()
