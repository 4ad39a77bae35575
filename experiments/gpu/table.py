#!/usr/bin/env python3
"""Markdown tables of a bench_*.jsonl: table.py FILE. From a simulator: what ran, without times."""
import json
import sys

# NVIDIA's data sheets: GB/s; float TFLOP/s; TF32 TFLOP/s without sparsity.
DATA_SHEETS = {"H100 PCIe": (2000, 51, 378), "H100 NVL": (3900, 60, 418), "H100": (3350, 67, 495), "H200": (4800, 67, 495),
               "A100": (2039, 19.5, 156)}


def number(value, digits=4):
    return "" if value is None else f"{value:.{digits}g}"


def rows(titles, lines):
    yield "| " + " | ".join(titles) + " |"
    yield "|" + "---|" * len(titles)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def ceilings(line):
    device = line["device"]
    sheet = next((numbers for name, numbers in DATA_SHEETS.items() if name in device), None)
    titles = ["", "copy GB/s", "float GFLOP/s", "TF32 GFLOP/s"]
    table = [["measured in this run"] + [number(line[k], 5) for k in ("copy_GB_s", "fp32_GFLOP_s", "tf32_GFLOP_s")]]
    if sheet:
        table.append(["data sheet", str(sheet[0]), str(1000 * sheet[1]), str(1000 * sheet[2])])
    yield f"## Ceilings of {device}\n"
    yield from rows(titles, table)


def kernels(lines):
    yield "\n## Kernels, the furthest from their roofline first\n"
    order = sorted(lines, key=lambda r: r["roofline_fraction"])
    yield from rows(["launcher", "shape", "us", "MB", "GB/s", "GFLOP/s", "limit", "share of roofline"],
                    [[r["item"], r["shape"], number(1e6 * r["seconds"]), number(1e-6 * r["bytes"]), number(r["GB_s"]),
                      number(r["GFLOP_s"]), r["limit"], f"{r['roofline_fraction']:.2f}"] for r in order])


def steps(lines, torch):
    theirs = {r["item"]: r for r in torch}
    ours = {}
    for r in lines:
        ours.setdefault(r["item"], {})[r.get("graph", True)] = r
    yield "\n## Whole steps; ratio = PyTorch / ours with graphs, above 1: ours is faster\n"
    table = []
    for item, ways in ours.items():
        graph, eager, peer = ways.get(True), ways.get(False), theirs.get(item)
        ms = [number(1e3 * r["median_s"]) if r else "" for r in (graph, eager, peer)]
        ratio = f"{peer['median_s'] / graph['median_s']:.2f}" if peer and graph else ""
        table.append([item, *ms, ratio, peer["variant"] if peer else "", number(graph and graph["gflops"]),
                      number(graph and graph["device_mb"]), number(peer and peer["device_mb"])])
    yield from rows(["item", "graphs ms", "no graphs ms", "PyTorch ms", "ratio", "PyTorch's way", "GFLOP/s", "MB", "PyTorch MB"],
                    table)


def ran(lines):
    yield "SIMULATED: these items ran on the simulator; there are no times.\n"
    yield from rows(["part", "item", "shape", "graphs", "MB", "GFLOP"],
                    [[r["part"], r.get("item", "ceilings"), r.get("shape", ""), str(r.get("graph", "")),
                      number(1e-6 * r["bytes"]) if "bytes" in r else "",
                      number(r.get("gflop", 1e-9 * r.get("flop", 0.0)))] for r in lines])


def main():
    lines = [json.loads(line) for line in open(sys.argv[1])]
    if not lines:
        print("Nothing was measured.")
        return
    if any(r.get("simulated") for r in lines):
        print("\n".join(ran(lines)))
        return
    of = {part: [r for r in lines if r["part"] == part] for part in ("ceilings", "kernel", "step", "torch")}
    for line in of["ceilings"]:
        print("\n".join(ceilings(line)))
    print("\n".join(kernels(of["kernel"])))
    if of["step"]:
        print("\n".join(steps(of["step"], of["torch"])))


if __name__ == "__main__":
    main()
