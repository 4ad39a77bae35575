#!/usr/bin/env python3
"""coverage.py OPTABLE [REPORT.json]: every kernel of kernels/*.cu (HO_KERNEL) and kernels/cuda/*.cu (__global__) must be
named by an entry of the table (`OPTABLE --list`), and every name there must be a kernel. With the simulator's report, every
kernel must besides be among those that were launched. Of every file with kernels one at least must have a case beyond 2^31
elements (`OPTABLE --huge --list`, with the report alone: the cpu's program has not those of tensor cores), but for those
in NOT_HUGE, with the reason. Prints "ok ..." or "not ok ...: what is missing"."""
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


NOT_HUGE = {
    "kernels/augment_backward.cu": "the index arithmetic of augment.cu",
    "kernels/lpips.cu": "rows of pixels as in norm.cu",
    "kernels/cuda/fused_gradient.cu": "the tiles of fused_tile.h, as in fused_conv.cu",
    "kernels/cuda/fused_weights.cu": "sums over pixels in splits; bounded by ho_k_fused_fits",
}


def kernels():
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, "kernels", "**", "*.cu"), recursive=True)):
        with open(path) as file:
            text = re.sub(r"/\*.*?\*/|//[^\n]*", "", file.read(), flags=re.S)
        names = re.findall(r"\bHO_KERNEL\s+(\w+)\s*\(", text)
        names += re.findall(r"__global__\s+void\s+(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(\w+)\s*\(", text)
        for name in names:
            found[name] = os.path.relpath(path, ROOT)
        if text.count("HO_KERNEL ") + text.count("__global__ ") != len(names):
            sys.exit(f"not ok kernels_found: {path} has kernels that this script does not recognise")
    return found


def names_in(line):
    """The kernels of one line of the simulator's report; templates there carry their arguments."""
    for kernel in line.get("kernels", []):
        yield re.split(r"[^\w]", kernel["name"])[0]


def named(program, *options):
    """The kernels that the program's list names."""
    listing = subprocess.run([program, *options, "--list"], check=True, capture_output=True, text=True).stdout
    return {name for line in listing.splitlines() for name in line.split(":", 1)[1].split()}


def report(name, missing):
    print(f"not ok {name}: {', '.join(missing)}" if missing else f"ok {name}")
    return bool(missing)


def main():
    known = kernels()
    declared = named(sys.argv[1])
    bad = report("every_kernel_has_a_case", [f"{k} ({known[k]})" for k in sorted(set(known) - declared)])
    bad |= report("every_named_kernel_exists", sorted(declared - set(known)))
    if len(sys.argv) > 2:
        with open(sys.argv[2]) as file:
            launched = {name for line in file for name in names_in(json.loads(line))}
        missing = [k for k in sorted(known) if k not in launched]
        bad |= report("every_kernel_was_launched", missing)
        huge = named(sys.argv[1], "--huge")
        bad |= report("every_named_huge_kernel_exists", sorted(huge - set(known)))
        bad |= report("every_file_has_a_huge_case", sorted(set(known.values()) - {known.get(k) for k in huge} - set(NOT_HUGE)))
    sys.exit(1 if bad or not known else 0)


main()
