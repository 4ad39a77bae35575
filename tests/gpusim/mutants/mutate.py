#!/usr/bin/env python3
"""Mutants of our kernels: does the table of operations notice when a kernel is wrong?

One small change in a kernel's PTX makes a mutant: a barrier or a guard dropped, an address moved by one element, a sign, a
comparison, a constant or a shuffle changed, an atomic made a plain store. The simulator runs the table's cases of that
kernel with the changed text in place of the module (option ptx=FILE). A mutant is killed when a case fails, the simulator
reports, or the run does not end; it survives when all pass.

    mutate.py [--build build] [--program FILE] [--sample N] [--seed S] [--every] [--budget SECONDS] [--kernel NAME]
              [--kind KIND]

Results are kept in experiments/mutants/results.jsonl, one line a mutant, by what was changed: a later run goes on with those
that are not there. --again runs the survivors anew; --report only writes experiments/mutants/table.md."""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
OUT = ROOT / "experiments" / "mutants"
LEAST_SECONDS, FACTOR = 10, 8  # a run that takes this many times as long as the right kernel's hangs
COUNTERPART = {"lt": "le", "le": "lt", "gt": "ge", "ge": "gt", "eq": "ne", "ne": "eq", "lo": "ls", "ls": "lo", "hi": "hs",
               "hs": "hi", "ltu": "leu", "leu": "ltu", "gtu": "geu", "geu": "gtu", "equ": "neu", "neu": "equ"}

Mutant = collections.namedtuple("Mutant", "module source kernel entry line kind was now where")


# ---- PTX: modules, entries, changes --------------------------------------------------------------------------------

def modules(build):
    """{source: PTX text} out of the objects of the cuda build, which carry it uncompressed."""
    found = {}
    for path in sorted((build / "cuda" / "kernels").rglob("*.cu.o")):
        data = path.read_bytes()
        begin = data.find(b"\n.version ")
        if begin >= 0:
            text = data[begin + 1 : data.index(b"\0", begin)].decode()
            found[str(path.relative_to(build / "cuda"))[: -len(".o")]] = text
    return found


def entries(text):
    """[(entry, first line, last line)] of a module's lines."""
    found, name, begin, depth = [], None, 0, 0
    for number, line in enumerate(text.split("\n")):
        if m := re.search(r"\.entry (\w+)\(", line):
            name, begin = m.group(1), None
        if name:
            if line.startswith("{"):
                begin = number
            elif line.startswith("}") and begin is not None:
                found.append((name, begin, number))
                name = None
    return found


def plain_names(names):
    out = subprocess.run(["c++filt"], input="\n".join(names), text=True, capture_output=True, check=True).stdout
    names_only = [re.sub(r"^void |\(bool\)|\(int\)", "", re.sub(r"\(anonymous namespace\)::", "", t)) for t in out.splitlines()]
    return {n: t.split("(")[0] for n, t in zip(names, names_only)}


def element_size(opcode):
    m = re.search(r"\.[busf](\d+)$", opcode.split()[0])
    return int(m.group(1)) // 8 if m else 4


def changes(line):
    """[(kind, new line)]: every mutant of one instruction."""
    code = line.strip()
    indent, found = line[: len(line) - len(line.lstrip())], []
    guard = re.match(r"(@!?%p\d+)\s+(.*)", code)
    if guard and guard.group(2).startswith("bra"):
        found.append(("guard", guard.group(2)))          # always
        found.append(("guard", "// never: " + code))
        return [(kind, indent + text) for kind, text in found]
    if re.match(r"(bar|barrier)\.(sync|warp)", code) or re.match(r"(membar|fence)", code):
        found.append(("barrier", "// dropped: " + code))
    if m := re.match(r"((?:ld|st)\.(?:global|shared)\S*)\s+(.*)\[(%rd?\d+|[A-Za-z_$][\w$]*)(?:\+(-?\d+))?\](.*)", code):
        size, at = element_size(m.group(1)), int(m.group(4) or 0)
        vector = 4 if ".v4" in m.group(1) else 2 if ".v2" in m.group(1) else 1
        for step in (size * vector, -size * vector):
            found.append(("index", f"{m.group(1)} \t{m.group(2)}[{m.group(3)}+{at + step}]{m.group(5)}"))
    if m := re.match(r"(add|sub)(\.\S*f(?:32|64))\s+(.*)", code):
        found.append(("sign", f"{'sub' if m.group(1) == 'add' else 'add'}{m.group(2)} \t{m.group(3)}"))
    if m := re.match(r"(fma\S*\.)(f32|f64)\s+(%f[d]?\d+), (.*), (.*), (.*);", code):
        zero = "0f00000000" if m.group(2) == "f32" else "0d0000000000000000"
        if m.group(6) != zero:
            found.append(("sign", f"{code} neg.{m.group(2)} {m.group(3)}, {m.group(3)};"))
            found.append(("addend", f"{m.group(1)}{m.group(2)} \t{m.group(3)}, {m.group(4)}, {m.group(5)}, {zero};"))
    if m := re.match(r"mul(\S*\.f(?:32|64))\s+(.*)", code):
        found.append(("operator", f"add{m.group(1).replace('.ftz', '')} \t{m.group(2)}"))
    if m := re.match(r"setp\.(\w+)(\S*)\s+(.*)", code):
        if m.group(1) in COUNTERPART:
            found.append(("compare", f"setp.{COUNTERPART[m.group(1)]}{m.group(2)} \t{m.group(3)}"))
    if m := re.match(r"selp(\S*)\s+(\S+), (\S+), (\S+), (\S+);", code):
        found.append(("select", f"selp{m.group(1)} \t{m.group(2)}, {m.group(4)}, {m.group(3)}, {m.group(5)};"))
    if m := re.match(r"(min|max)(\.[busf]\S*)\s+(.*)", code):
        found.append(("select", f"{'max' if m.group(1) == 'min' else 'min'}{m.group(2)} \t{m.group(3)}"))
    if m := re.match(r"red(\S*)\.(?:add|min|max|inc|or)(?:\.noftz)?\.(\w+)\s+\[(.*?)\], (.*);", code):
        found.append(("atomic", f"st.global.{m.group(2)} \t[{m.group(3)}], {m.group(4)};"))
    if m := re.match(r"(shfl\.sync\.\w+\.b32\s+\S+, \S+, )(\S+)(, .*)", code):
        found.append(("shuffle", f"{m.group(1)}3{m.group(3)}"))  # our distances are powers of two
    if m := re.match(r"((?:mov|mul|add|fma)\S*f32\s+.*)0f([0-9A-F]{8})(.*)", code):
        if m.group(2) not in ("00000000", "7F800000", "FF800000"):
            found.append(("constant", f"{m.group(1)}0f{int(m.group(2), 16) ^ 0x00800000:08X}{m.group(3)}"))
    return [(kind, indent + text) for kind, text in found]


def all_mutants(build):
    found = []
    for source, text in modules(build).items():
        lines = text.split("\n")
        files = dict(re.findall(r'^\.file\s+(\d+) "(.*)"', text, re.M))
        bounds = entries(text)
        names = plain_names([e for e, _, _ in bounds])
        for entry, begin, end in bounds:
            where, wide = "?", set()
            for number in range(begin, end):
                line = lines[number]
                # Do both numbers of a 64-bit division fit 32 bits? Both answers lead to the same quotient: no mutants.
                if m := re.match(r"\s*and\.b64\s+(%rd\d+), %rd\d+, -4294967296;", line):
                    wide.add(m.group(1))
                elif m := re.match(r"\s*setp\.\w+\.s64\s+(%p\d+), (%rd\d+), 0;", line):
                    wide.discard(m.group(1))
                    if m.group(2) in wide:
                        wide.add(m.group(1))
                        continue
                elif (m := re.match(r"\s*@!?(%p\d+)\s+bra", line)) and m.group(1) in wide:
                    continue
                if m := re.match(r"\s*\.loc\s+(\d+) (\d+) \d+(?:.*inlined_at (\d+) (\d+))?", line):
                    where = f"{Path(files.get(m.group(3) or m.group(1), '?')).name}:{m.group(4) or m.group(2)}"
                for kind, now in changes(line):
                    found.append(Mutant(source, source, names[entry], entry, number, kind, line.strip(), now.strip(), where))
    return found


def key(mutant):
    """Stays the same while the kernel's text up to here does."""
    return hashlib.sha1(f"{mutant.entry} {mutant.line} {mutant.was} {mutant.now}".encode()).hexdigest()[:12]


# ---- runs ----------------------------------------------------------------------------------------------------------

class Table:
    """The program with the cases, and which cases run which kernel."""

    def __init__(self, program, lib, gpusim):
        self.program, self.lib, self.gpusim = [str(program)], str(lib), gpusim  # gpusim: sets of options, tried in turn
        self.cases = {}  # entry -> [(instructions, seconds, name)]

    def run(self, names, seconds, options):
        env = dict(os.environ, LD_LIBRARY_PATH=f"{self.lib}:{os.environ.get('LD_LIBRARY_PATH', '')}", OMP_NUM_THREADS="1",
                   GPUSIM=",".join([o for o in ("threads=1", *options) if o]))
        run = subprocess.Popen([*self.program, *names], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               start_new_session=True)
        try:
            output, _ = run.communicate(timeout=seconds)
            return run.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            return None, ""

    def learn(self, cache):
        """One run a case says which kernels it launches; kept in `cache` for the program's date."""
        stamp = Path(self.program[0]).stat().st_mtime
        if cache.exists() and (kept := json.loads(cache.read_text()))["stamp"] == stamp:
            self.cases = kept["cases"]
            return
        listed = subprocess.run([*self.program, "--list"], text=True, capture_output=True, check=True,
                                env=dict(os.environ, LD_LIBRARY_PATH=self.lib)).stdout.split("\n")
        names = [line.split(":")[0] for line in listed if line.strip() and not line.startswith("gpusim")]
        for name in dict.fromkeys(names):
            with tempfile.TemporaryDirectory() as folder:
                report, start = Path(folder) / "report", time.time()
                status, output = self.run([name], 600, [self.gpusim[0], f"report={report}"])
                seconds = time.time() - start
                if status != 0:
                    print(f"case {name} fails without a mutant (status {status}): left out; {output.strip()[-200:]}")
                    continue
                for line in report.read_text().splitlines():
                    for kernel in json.loads(line)["kernels"]:
                        self.cases.setdefault(kernel["symbol"], []).append([kernel["instructions"], seconds, name])
        for runs in self.cases.values():
            runs.sort()
        cache.write_text(json.dumps({"stamp": stamp, "cases": self.cases}))


def judge(mutant, text, table):
    """("killed", how) or ("survived", ...) or ("not run", why)."""
    cases = table.cases.get(mutant.entry)
    if not cases:
        return "not run", "no case launches this kernel"
    lines = text.split("\n")
    lines[mutant.line] = mutant.now
    with tempfile.NamedTemporaryFile("w", suffix=".ptx") as f:
        f.write(f"// replaces {mutant.entry}\n" + "\n".join(lines))
        f.flush()
        for options, (_, seconds, name) in ((o, c) for o in table.gpusim for c in cases):
            status, output = table.run([name], max(LEAST_SECONDS, FACTOR * seconds), [options, f"ptx={f.name}"])
            if status is None:
                return "killed", f"{name}: does not end"
            if status == 99:
                return "not run", output.strip().split("\n")[-1][:200]
            if status != 0:
                check = re.search(r"gpusim: ([a-z-]+):", output)
                return "killed", f"{name}: {check.group(1) if check and status == 86 else f'status {status}'}"
    return "survived", f"{len(cases)} cases pass"


# ---- results -------------------------------------------------------------------------------------------------------

def read_results():
    path, kept = OUT / "results.jsonl", {}
    if path.exists():
        for line in path.read_text().splitlines():
            r = json.loads(line)
            kept[r["key"]] = r
    return kept


def explanations():
    """{pattern: why} of survivors.json: a survivor whose kernel, place or text the pattern matches is explained."""
    path = OUT / "survivors.json"
    return json.loads(path.read_text()) if path.exists() else {}


def explained(r, known):
    text = f"{r['kernel']} {r['where']} {r['kind']} {r['was']} => {r['now']}"
    return next((why for pattern, why in known.items() if re.search(pattern, text)), None)


def write_report(results):
    known, per = explanations(), collections.defaultdict(collections.Counter)
    for r in results.values():
        per[f"{r['source']} {r['kernel']}"][r["verdict"]] += 1
    lines = ["Written by `make mutants`. A mutant is killed when a case of the table of operations fails, the simulator",
             "reports, or the run does not end.", "", "| kernel | killed | survived | not run |", "|---|---|---|---|"]
    for name, c in sorted(per.items()):
        lines.append(f"| {name} | {c['killed']} | {c['survived']} | {c['not run']} |")
    total = sum(per.values(), collections.Counter())
    lines.append(f"| all | {total['killed']} | {total['survived']} | {total['not run']} |")
    lines += ["", "## Survivors", "", "| kernel | place | kind | change | why |", "|---|---|---|---|---|"]
    unexplained = 0
    for r in sorted(results.values(), key=lambda r: (r["source"], r["kernel"], r["line"])):
        if r["verdict"] == "survived":
            why = explained(r, known)
            unexplained += why is None
            lines.append(f"| {r['kernel']} | {r['where']} | {r['kind']} | `{r['was']}` => `{r['now']}` | "
                         f"{why or '**not explained**'} |".replace("%p|", "%p\\|"))
    (OUT / "table.md").write_text("\n".join(lines) + "\n")
    print(f"{total['killed']} killed, {total['survived']} survived ({unexplained} of them not explained), "
          f"{total['not run']} not run: {OUT / 'table.md'}")
    return unexplained


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--program", type=Path, help="default: BUILD/tests/optable-cuda")
    parser.add_argument("--lib", type=Path, help="default: BUILD/gpusim/lib")
    parser.add_argument("--gpusim", action="append", help="options of a run; several: a mutant survives all of them")
    parser.add_argument("--sample", type=int, default=0, help="only N mutants, drawn by --seed (0: all)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=0, help="begin no mutant after this many seconds (0: no limit)")
    parser.add_argument("--kernel", default="", help="only kernels with this in their name")
    parser.add_argument("--kind", default="", help="only this kind of change")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--every", action="store_true", help="every change; else one of a kind for each source line of a kernel")
    parser.add_argument("--again", action="store_true", help="survivors and those not run anew")
    parser.add_argument("--report", action="store_true", help="run nothing, write the table")
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    results = read_results()
    texts = modules(args.build)
    found = [m for m in all_mutants(args.build) if args.kernel in m.kernel and args.kind in m.kind]
    if args.list:
        for m in found:
            print(f"{key(m)} {m.source} {m.kernel} {m.where} {m.kind}: {m.was} => {m.now}")
        return 0
    # Results of kernels whose text has changed since are of no use.
    current = {key(m) for m in all_mutants(args.build)}
    results = {k: r for k, r in results.items() if k in current}
    if args.report:
        return 1 if write_report(results) else 0
    chosen = list(found)
    random.Random(args.seed).shuffle(chosen)
    if not args.every:
        chosen = list({(m.kernel, m.where, m.kind): m for m in reversed(chosen)}.values())[::-1]
    chosen = chosen[: args.sample or None]
    todo = [m for m in chosen if key(m) not in results or (args.again and results[key(m)]["verdict"] != "killed")]
    table = Table((args.program or args.build / "tests" / "optable-cuda").resolve(), (args.lib or args.build / "gpusim" / "lib").resolve(),
                  args.gpusim or ["order=forward", "order=forward,block=32,grid=2"])
    table.learn(args.build / "gpusim" / "mutant_cases.json")
    start, done = time.time(), 0

    def one(m):
        if args.budget and time.time() - start > args.budget:
            return m, None
        return m, judge(m, texts[m.source], table)

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for m, verdict in pool.map(one, todo):
            if verdict is None:
                continue
            done += 1
            results[key(m)] = {"key": key(m), "source": m.source, "kernel": m.kernel, "line": m.line, "kind": m.kind,
                               "where": m.where, "was": m.was, "now": m.now, "verdict": verdict[0], "how": verdict[1]}
            if verdict[0] != "killed":
                print(f"{verdict[0]}: {m.kernel} {m.where} {m.kind}: {m.was} => {m.now} ({verdict[1]})", flush=True)
            if done % 50 == 0:
                save(results)
    save(results)
    print(f"{done} of {len(todo)} mutants run in {time.time() - start:.0f} s; {len(chosen)} chosen of {len(found)}")
    return 1 if write_report(results) else 0


def save(results):
    part = OUT / "results.part"
    part.write_text("".join(json.dumps(r, sort_keys=True) + "\n" for r in sorted(results.values(), key=lambda r: (r["source"], r["line"], r["key"]))))
    part.replace(OUT / "results.jsonl")


if __name__ == "__main__":
    sys.exit(main())
