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


def take_turns(commands, reps):
    """Seconds of each command's repetitions, and its last line."""
    sides = []
    try:
        for command, env in commands:
            sides.append(Side(command, env))
            sides[-1].line()  # ready, and warm
        for _ in range(reps):
            for side in sides:
                side.turn()
        return [(side.wall, side.end()) for side in sides]
    finally:
        for side in sides:
            if side.process.poll() is None:
                side.process.kill()


def measure(item, options):
    threads = str(options.threads)
    own = ([options.bench, "--threads", threads, "--serve", item], dict(os.environ))
    wall, end, ways = [], None, {}
    # One way after the other: both of PyTorch's together do not fit into 24 GB.
    for way in WAYS if importlib.util.find_spec("torch") else (None,):
        torch = [([sys.executable, os.path.join(HERE, "torch_items.py"), item, threads, "--way", way],
                  torch_environment(options.threads))] if way else []
        results = take_turns([own] + torch, options.reps)
        wall, end = wall + results[0][0], results[0][1]
        ways[way] = results[-1]
    seconds = statistics.median(wall)
    line = {"item": item, "shape": end["shape"], "reps": options.reps, "threads": options.threads, "seconds": seconds,
            "gflops": end["gflop"] / seconds, "peak_rss_mb": end["peak_rss_mb"], "added_mb": end["added_mb"]}
    for way in WAYS:
        theirs = statistics.median(ways[way][0]) if way in ways else None
        line[f"ratio_{way}"] = theirs / seconds if theirs else None
        line[f"{way}_seconds"] = theirs
        line[f"{way}_peak_rss_mb"] = ways[way][1]["peak_rss_mb"] if theirs else None
    return dict(line, load=os.getloadavg()[0], commit=end["commit"], core_type=core_type())


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
