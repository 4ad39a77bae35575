#!/usr/bin/env python3
"""Mutants of our kernels: does the table of operations notice when a kernel is wrong?

One small change in a kernel's PTX makes a mutant (changes.py): a barrier or a guard dropped, an address moved by one element,
a sign, a comparison, a constant or a shuffle changed, an atomic made a plain store. The simulator runs the table's cases of
that kernel with the changed text in place of the module (option ptx=FILE). A mutant is killed when a case fails, the
simulator reports, or the run does not end; it survives when all pass.

    mutate.py [--build build] [--all] [--kernel NAME] [--kind KIND] [--budget SECONDS]

Without --all one change of a kind for each source line of a kernel is taken. Results are kept in
experiments/mutants/results.jsonl, one line a mutant, by the kernel's text and the change: a later run goes on with those that
are not there. Every survivor needs its reason in survivors.json beside this file, and every reason its survivor: exit
status 1 else. --again runs those anew that were not killed; --report only writes experiments/mutants/table.md."""
import argparse
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from changes import all_mutants, modules, sample_of, with_trap

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "experiments" / "mutants"
REASONS = Path(__file__).resolve().parent / "survivors.json"
LEAST_SECONDS, FACTOR = 2, 3  # of processor time: a run that takes this many times as long as the right kernel's hangs
HUGE = "edge_blocks=1,memory=200000,protect=0"


# ---- runs ----------------------------------------------------------------------------------------------------------

class Table:
    """The program with the cases, and which cases run which kernel."""

    def __init__(self, program, lib):
        self.program, self.lib = str(program), str(lib)
        self.reached = {}  # (entry, first line of a straight piece of code): does any case run it?
        self.cases = {}  # entry -> [[processor seconds, instructions of the kernel, name, huge]]

    def environment(self, options):
        return dict(os.environ, LD_LIBRARY_PATH=f"{self.lib}:{os.environ.get('LD_LIBRARY_PATH', '')}", OMP_NUM_THREADS="1",
                    GPUSIM=f"threads=1,{options}")

    def run(self, arguments, seconds, options):
        """(exit status, output); None as status when it takes longer than that many seconds of processor time."""
        run = subprocess.Popen(["prlimit", f"--cpu={int(seconds + 1)}", self.program, *arguments], stdout=subprocess.PIPE,
                               env=self.environment(options), stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        try:
            output, _ = run.communicate(timeout=20 * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            return None, ""
        return (None if run.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else run.returncode), output

    def names(self, huge):
        listed = subprocess.run([self.program, *(["--huge"] if huge else []), "--list"], text=True, capture_output=True, check=True,
                                env=self.environment("order=forward")).stdout.split("\n")
        return list(dict.fromkeys(line.split(":")[0] for line in listed if re.match(r"\w+:", line)))

    def learn(self, cache, only):
        """One run a case says which kernels it launches; kept in `cache` for the program's date, but for `only` some."""
        stamp = Path(self.program).stat().st_mtime
        if not only and cache.exists() and (kept := json.loads(cache.read_text()))["stamp"] == stamp:
            self.cases = kept["cases"]
            return
        for huge, name in [(False, n) for n in only] or [(h, n) for h in (False, True) for n in self.names(h)]:
            with tempfile.TemporaryDirectory() as folder:
                report, before = Path(folder) / "report", os.times()
                options = HUGE if huge else "order=forward"
                status, output = self.run([*(["--huge"] if huge else []), name], 600, f"{options},report={report}")
                after = os.times()
                if status != 0:
                    sys.exit(f"case {name} fails without a mutant (status {status}): {output.strip()[-200:]}")
                seconds = after.children_user + after.children_system - before.children_user - before.children_system
                for line in report.read_text().splitlines():
                    for kernel in json.loads(line)["kernels"]:
                        self.cases.setdefault(kernel["symbol"], []).append([seconds, kernel["instructions"], name, huge])
        for runs in self.cases.values():
            runs.sort()
        if not only:
            cache.write_text(json.dumps({"stamp": stamp, "cases": self.cases}))

    def trials(self, mutant):
        """[(options, arguments, seconds of the right kernel)], quick ones first."""
        cases = self.cases.get(mutant.entry, [])
        small = [(s, n) for s, _, n, huge in cases if not huge]
        # The operations on tensor cores are slow and have wide budgets: only for what no other runs.
        small = [c for c in small if "fused" not in c[1]] or [c for c in small if "exact" in c[1]] or small
        found = []
        few = ["--stop", "--samples", "16"]
        sync = mutant.kind in ("barrier", "shuffle", "atomic")
        if not mutant.bound:  # else the simulator leaves blocks and grid as launched
            found += [("order=forward,block=32,grid=1", [*few, n], s) for s, n in small]
        found += [("order=forward", ["--stop", n], s) for s, n in small]
        if not mutant.bound:
            found += [("order=reverse,block=1024,more_blocks=3", [*few, n], s) for s, n in small]
        shape = "" if mutant.bound else ",block=64,grid=2"
        for order in ("order=forward", "order=reverse", "order=random,seed=1") if sync else ():
            found += [(order + shape, [*few, n], 2 * s) for s, n in small]
        return found + [(HUGE, ["--huge", n], s) for s, _, n, huge in cases if huge]


def attempt(entry, lines, trials, table):
    """The first trial that notices the changed lines: ("killed", how); else ("survived", ...) or ("not run", why)."""
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as f:
        f.write(f"// replaces {entry}\n" + "\n".join(lines))
        f.flush()
        for options, arguments, seconds in trials:
            status, output = table.run(arguments, max(LEAST_SECONDS, FACTOR * seconds), f"{options},stop=1,ptx={f.name}")
            if status is None:
                return "killed", f"{arguments[-1]}: does not end"
            if status == 99:
                return "not run", output.strip().split("\n")[-1][:200]
            if status != 0:
                check = re.search(r"gpusim: ([a-z-]+):", output)
                return "killed", f"{arguments[-1]}: {check.group(1) if check and status == 86 else f'status {status}'}"
    return ("survived", f"{len(trials)} runs pass") if trials else ("not run", "no case launches this kernel")


def judge(mutant, text, table):
    """("killed", how), ("survived", ...) or ("not run", why). What no case reaches is told apart, and at once."""
    trials, lines, piece = table.trials(mutant), text.split("\n"), (mutant.entry, mutant.block)
    if piece not in table.reached:
        table.reached[piece] = attempt(mutant.entry, with_trap(lines, mutant.block), trials, table)[0] == "killed"
    if trials and not table.reached[piece]:
        return "survived", "not reached"
    lines[mutant.line] = mutant.now
    return attempt(mutant.entry, lines, trials, table)


# ---- results -------------------------------------------------------------------------------------------------------

def read_results(path):
    if not path.exists():
        return {}
    return {r["key"]: r for r in map(json.loads, path.read_text().splitlines())}


def save(path, results):
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(r) + "\n" for r in sorted(results.values(), key=lambda r: (r["source"], r["kernel"], r["where"], r["key"]))))
    part.replace(path)


def result_of(m, verdict, how):
    r = {"key": m.key, "source": m.source, "kernel": m.kernel, "where": m.where, "kind": m.kind, "verdict": verdict, "how": how}
    return r if verdict == "killed" else dict(r, was=m.was, now=m.now)


def title(r):
    """How survivors.json names a mutant; its first word decides."""
    return f"{r['key']} {r['kernel']} {r['where']} {r['kind']}: {r['was']} => {r['now']}"


def read_reasons(path):
    """{key: why} of survivors.json: [{"why": ..., "mutants": [title, ...]}, ...]."""
    groups = json.loads(path.read_text()) if path.exists() else []
    return {text.split()[0]: group["why"] for group in groups for text in group["mutants"]}


def objections(results, reasons, current):
    """What makes a run fail: survivors without a reason, reasons without a survivor, mutants that cannot run."""
    found = []
    for r in results.values():
        if r["verdict"] == "survived" and r["key"] not in reasons:
            found.append(f"not explained: {title(r)}")
        elif r["verdict"] == "not run":
            found.append(f"not run: {title(r)}: {r['how']}")
    for key in reasons:
        if key not in current:
            found.append(f"survivors.json explains {key}, and there is no such mutant any more")
        elif results.get(key, {}).get("verdict") == "killed":
            found.append(f"survivors.json explains {key}, which is killed: {results[key]['how']}")
    return found


def write_report(path, results, reasons, about):
    per = collections.defaultdict(collections.Counter)
    for r in results.values():
        explained = r["verdict"] == "survived" and r["key"] in reasons
        per[r["source"]]["explained" if explained else r["verdict"]] += 1
    columns = ["killed", "explained", "survived", "not run"]
    total = sum(per.values(), collections.Counter())
    lines = ["Written by `make mutants`. A mutant is killed when a case of the table of operations fails, the simulator reports,",
             "or the run does not end; it is explained when it survives and `tests/gpusim/mutants/survivors.json` says why.",
             about, "", "| kernels | killed | survived, explained | survived, not explained | not run |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(str(c[k]) for k in columns)} |" for name, c in [*sorted(per.items()), ("all", total)]]
    how = collections.Counter(r["how"].split(": ")[1].replace("status 1", "wrong numbers") for r in results.values() if r["verdict"] == "killed")
    lines += ["", "| killed by | mutants |", "|---|---|"] + [f"| {name} | {n} |" for name, n in how.most_common()]
    groups = collections.defaultdict(list)
    for r in results.values():
        if r["verdict"] == "survived":
            groups[reasons.get(r["key"], "**Not explained**" + (", not reached" if r["how"] == "not reached" else ""))].append(r)
    lines += ["", "## Survivors"]
    for why, members in sorted(groups.items(), key=lambda g: -len(g[1])):
        lines += ["", f"{why} ({len(members)})", ""]
        lines += [f"- {r['kernel']} {r['where']} {r['kind']}: `{r['was']}` => `{r['now']}`"
                  for r in sorted(members, key=lambda r: (r["source"], r["kernel"], r["where"], r["key"]))]
    path.write_text("\n".join(lines) + "\n")
    print(f"{total['killed']} killed, {total['explained'] + total['survived']} survived ({total['survived']} of them not explained), "
          f"{total['not run']} not run: {path}")


def arguments_of():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--program", type=Path, help="default: BUILD/tests/optable-cuda")
    parser.add_argument("--lib", type=Path, help="default: BUILD/gpusim/lib")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of results.jsonl and table.md")
    parser.add_argument("--reasons", type=Path, default=REASONS)
    parser.add_argument("--all", action="store_true", help="every change; else one of a kind for each source line of a kernel")
    parser.add_argument("--budget", type=float, default=0, help="begin no mutant after this many seconds (0: no limit)")
    parser.add_argument("--kernel", default="", help="only kernels with this in their name")
    parser.add_argument("--source", default="", help="only files with this in their name")
    parser.add_argument("--kind", default="", help="only this kind of change")
    parser.add_argument("--keys", default="", help="only these mutants, by name, with commas")
    parser.add_argument("--cases", default="", help="only these cases of the table, with commas")
    parser.add_argument("--again", action="store_true", help="survivors and those not run anew")
    parser.add_argument("--report", action="store_true", help="run nothing, write the table")
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    return parser.parse_args()


def run_all(todo, texts, table, results, args):
    start, done, kept = time.time(), 0, args.out / "results.jsonl"
    for m in todo:
        if args.budget and time.time() - start > args.budget:
            break
        results[m.key] = r = result_of(m, *judge(m, texts[m.source], table))
        done += 1
        if r["verdict"] != "killed":
            print(f"{r['verdict']}: {title(r)} ({r['how']})", flush=True)
        if done % 20 == 0:
            save(kept, results)
            print(f"{done} of {len(todo)}, {time.time() - start:.0f} s", flush=True)
    save(kept, results)
    print(f"{done} of {len(todo)} mutants run in {time.time() - start:.0f} s")
    return done == len(todo)


def main():
    args = arguments_of()
    args.out.mkdir(parents=True, exist_ok=True)
    every = all_mutants(args.build)
    keys = args.keys.split(",") if args.keys else []
    found = [m for m in (every if args.all or keys else sample_of(every)) if args.kernel in m.kernel and args.kind in m.kind
             and args.source in m.source and (not keys or m.key in keys)]
    if args.list:
        for m in found:
            print(f"{m.key} {m.source} {m.kernel} {m.where} {m.kind}: {m.was} => {m.now}")
        return 0
    current = {m.key for m in every}
    results = {k: r for k, r in read_results(args.out / "results.jsonl").items() if k in current}  # of kernels as they are now
    todo = [m for m in found if m.key not in results or (args.again and results[m.key]["verdict"] != "killed")]
    complete = not todo
    if todo and not args.report:
        table = Table((args.program or args.build / "tests" / "optable-cuda").resolve(), (args.lib or args.build / "gpusim" / "lib").resolve())
        table.learn(args.build / "gpusim" / "mutant_cases.json", [c for c in args.cases.split(",") if c])
        complete = run_all(todo, modules(args.build), table, results, args)
    reasons = read_reasons(args.reasons)
    left = len([m for m in sample_of(every) if m.key not in results])
    write_report(args.out / "table.md", results, reasons,
                 f"{len(results)} of {len(every)} changes were run; the sample has {left} more.")
    against = objections(results, reasons, current)
    print("\n".join(against[:50]))
    return 0 if complete and not against else 1


if __name__ == "__main__":
    sys.exit(main())
