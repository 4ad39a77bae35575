#!/usr/bin/env python3
"""What ptxas says about every kernel: registers, spills, stack, shared and constant memory, and the occupancy that
follows. Reads the logs that the cuda build leaves beside its objects (X.cu.o.ptxas).

    ptxas.py --build build --record [--sass DIR]   writes ptxas.json and table.md here (DIR: folder of cuobjdump)
    ptxas.py --build build --check                 compares with ptxas.json; one line a finding, exit status 1

The rules of the occupancy are in README.md and, in the toolkit, in cuda_occupancy.h."""
import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
UPDATE = "if this is meant, `make ptxas` writes a new table: commit experiments/ptxas/ with the reason"

# An architecture's multiprocessor: warps, blocks and bytes of shared memory that it holds.
Limits = collections.namedtuple("Limits", "warps blocks shared")
LIMITS = {80: Limits(64, 32, 164 << 10), 90: Limits(64, 32, 228 << 10), 100: Limits(64, 32, 228 << 10),
          120: Limits(48, 24, 100 << 10)}
REGISTERS, PARTS, REGISTER_UNIT, SHARED_UNIT, SHARED_RESERVED = 65536, 4, 256, 128, 1024


def up(n, unit):
    return -(-n // unit) * unit


def occupancy(arch, registers, shared, width):
    """Share of the multiprocessor's warps that can be resident; 0: a block does not fit."""
    limits, warps = LIMITS[arch], -(-width // 32)
    by_registers = REGISTERS // PARTS // up(max(registers, 1) * 32, REGISTER_UNIT) * PARTS // warps
    by_shared = limits.shared // up(shared + SHARED_RESERVED, SHARED_UNIT)
    blocks = min(limits.blocks, limits.warps // warps, by_registers, by_shared)
    return round(blocks * warps / limits.warps, 4)


def demangled(names):
    """Mangled name -> "kernel" or "kernel<4, true>"."""
    out = subprocess.run(["c++filt"], input="\n".join(names), text=True, capture_output=True, check=True).stdout
    plain = {}
    for name, text in zip(names, out.splitlines()):
        text = re.sub(r"\(anonymous namespace\)::|^void |\(bool\)|\(int\)|\(unsigned int\)", "", text)
        depth, end = 0, len(text)
        for i, c in enumerate(text):
            depth += (c == "<") - (c == ">")
            if c == "(" and depth == 0:
                end = i
                break
        plain[name] = text[:end]
    return plain


def read_log(path, source):
    """{mangled: {arch: facts}} of one object's log."""
    found, name, arch = {}, None, None
    for line in path.read_text().splitlines():
        if m := re.search(r"Compiling entry function '(\S+)' for 'sm_(\d+)\w?'", line):
            name, arch = m.group(1), int(m.group(2))
        elif m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            facts = dict(zip(("stack", "spill_stores", "spill_loads"), map(int, m.groups())))
            if name:
                found.setdefault(name, {})[arch] = facts
        elif name and (m := re.search(r"Used (\d+) registers", line)):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name][arch].update(registers=int(m.group(1)), shared=int(shared.group(1)) if shared else 0)
            name = None
    if not found:
        raise SystemExit(f"{path}: no kernel of {source} in it: build with -Xptxas -v")
    return found


def arguments(text, start):
    """The arguments between the parenthesis at text[start] and its partner."""
    depth, parts, begin = 0, [], start + 1
    for i in range(start, len(text)):
        c = text[i]
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 or (depth == 1 and c == ","):
            parts.append(" ".join(text[begin:i].split()))
            begin = i + 1
        if depth == 0:
            break
    return parts


def source_text(path):
    """A kernel file and the headers of kernels/ that it includes."""
    text = path.read_text()
    for name in re.findall(r'#include "([^"]+)"', text):
        for folder in (path.parent, ROOT / "kernels"):
            if (folder / name).is_file() and (folder / name) != path:
                text += (folder / name).read_text()
                break
    return text


def number(text, expression):
    """Value of an integer expression over the file's constants, or None."""
    for _ in range(8):
        names = re.findall(r"[A-Za-z_]\w*", expression)
        if not names:
            break
        for n in names:
            m = re.search(rf"\b{n}\s*=\s*([^,;}}]+)[,;}}\s]", text) or re.search(rf"#define {n}\s+(.+)", text)
            if not m:
                return None
            expression = re.sub(rf"\b{n}\b", f"({m.group(1).strip()})", expression)
    if not re.fullmatch(r"[\d\s+*/()<-]+", expression):
        return None
    return int(eval(expression.replace("/", "//")))  # digits and operators only, see the line above


# Dynamic shared memory of the kernels that HO_LAUNCH_SHARED launches, as C++ of their source file over their template
# arguments; nvcc computes it.
DYNAMIC = [(r"fused_forward<(\w+), (\d+), (\d+)>", "ho_tile_bytes<{0}, ho_tile<HO_PLAIN, {1}, {2}>>()"),
           (r"fused_input_gradient<(\w+), (\d+), (\d+), (\d+)>", "ho_tile_bytes<{0}, ho_tile<{1}, {2}, {3}>>()"),
           (r"fused_up_forward<(\w+)>", "(ho_tile_bytes<{0}, ho_tile<HO_SPREAD, MF, NF>>() > T_BYTES "
            "? ho_tile_bytes<{0}, ho_tile<HO_SPREAD, MF, NF>>() : (int)T_BYTES)"),
           (r"fused_weights<(\w+), (\d+)>", "weights_tile<{0}, {1}>::BYTES")]


def dynamic_shared(source, text, kernels):
    """{kernel: bytes} of those that are launched with HO_LAUNCH_SHARED."""
    found = {}
    for kernel in kernels:
        if re.search(rf"HO_LAUNCH_SHARED\(\(?{re.escape(kernel.split('<')[0])}\b", text):
            found[kernel] = next((e.format(*m.groups()) for p, e in DYNAMIC if (m := re.fullmatch(p, kernel))), None)
            if found[kernel] is None:
                raise SystemExit(f"{source} {kernel}: ptxas.py's table DYNAMIC has to say how much shared memory its launch adds")
    if not found:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.cu"
        probe.write_text(f'#include "{source}"\n' + "".join(f"__device__ int ho_probe_{i} = {e};\n" for i, e in enumerate(found.values())))
        done = subprocess.run(["nvcc", "-std=c++17", "-arch=compute_80", "-ptx", "-Xcicc", "-O0", "-Iinclude", "-Ikernels",
                               f"-I{source.parent}", "-I.", str(probe), "-o", f"{folder}/probe.ptx"], cwd=ROOT, text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"{source}: ptxas.py's table DYNAMIC does not fit the source: {done.stderr}")
        values = dict(re.findall(r"ho_probe_(\d+) = (\d+);", (Path(folder) / "probe.ptx").read_text()))
    return {kernel: int(values[str(i)]) for i, kernel in enumerate(found)}


def widths(text, kernel):
    """Block widths and dynamic shared memory with which a kernel is launched."""
    base = kernel.split("<")[0]
    found, shared = set(), 0
    calls = [arguments(text, m.end() - 1) for m in re.finditer(r"\bHO_LAUNCH\(", text)]
    calls = [[c[0].strip("()"), *c[1:]] for c in calls]
    for m in re.finditer(rf"\b({base}(?:<[^;{{}}]*?>)?)\s*<<<(.*?)>>>", text, re.S):
        calls.append([m.group(1), *arguments(f"({m.group(2)})", 0)])
    for call in calls:
        if call[0].split("<")[0].strip() != base or len(call) < 3:
            continue
        width = call[2]
        if re.fullmatch(r"\w+", width) and re.search(rf"\b{width} = ho_row_width\(", text):
            width = "ho_row_width("
        if width.startswith("ho_row_width("):
            found.update(range(32, 257, 32))
        elif (n := number(text, width)) is not None:
            found.add(n)
        shared = max(shared, number(text, call[3]) or 0) if len(call) > 3 else shared
    if not found and (m := re.search(rf"__launch_bounds__\(([^,)]+)[^)]*\)\s*{base}\b", text)):
        found.add(number(text, m.group(1)))
    found.discard(None)
    return sorted(found), shared


def sass(tool_dir, objects):
    """{(object, mangled, arch): counts of instructions, by what the table asks for}."""
    kinds = {"matrix": r"^[HQDI]G?MMA|^UTC\w*MMA|^[HIDQ]MMA", "load128": r"^(LDG|LDS|LDGSTS)\S*\.128",
             "local": r"^(LDL|STL)", "barrier": r"^BAR", "atomic": r"^(ATOM|RED)[GS.\s]?", "double": r"^(DADD|DMUL|DFMA|DSETP)"}
    counts = {}
    env = dict(os.environ, PATH=f"{tool_dir}:{os.environ['PATH']}")
    for obj in objects:
        text = subprocess.run(["cuobjdump", "-sass", obj], env=env, text=True, capture_output=True, check=True).stdout
        arch, entry = None, None
        for line in text.splitlines():
            if m := re.search(r"arch = sm_(\d+)", line):
                arch = int(m.group(1))
            elif m := re.search(r"Function : (\S+)", line):
                entry = counts.setdefault((obj, m.group(1), arch), collections.Counter())
            elif entry is not None and (m := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(\S+?)[\s;]", line)):
                if m.group(1) != "NOP":
                    entry["instructions"] += 1
                    for kind, pattern in kinds.items():
                        entry[kind] += bool(re.match(pattern, m.group(1)))
        usage = subprocess.run(["cuobjdump", "--dump-resource-usage", obj], env=env, text=True, capture_output=True,
                               check=True).stdout
        for line in usage.splitlines():
            if m := re.search(r"arch = sm_(\d+)|for sm_(\d+)", line):
                arch = int(m.group(1) or m.group(2))
            elif m := re.search(r"Function (\S+):", line):
                entry = counts.get((obj, m.group(1), arch))
            if entry is not None and (m := re.search(r"CONSTANT\[0\]:(\d+)", line)):
                entry["constant"] = int(m.group(1))
    return counts


def collect(build, sass_dir=None):
    """Facts of every kernel of the build, {"kernels/head.cu vote_kernel": {"80": {...}}}, and what is wrong with it."""
    table, wrong = {}, []
    for source in sorted(ROOT.glob("kernels/**/*.cu")):
        name = source.relative_to(ROOT)
        log = build / "cuda" / f"{name}.o.ptxas"
        if not log.is_file():
            raise SystemExit(f"{log} is missing: make cuda")
        found, text = read_log(log, name), source_text(source)
        plain = demangled(list(found))
        extra = dynamic_shared(name, source.read_text(), plain.values())
        counts = sass(sass_dir, [str(log)[: -len(".ptxas")]]) if sass_dir else {}
        for mangled, archs in found.items():
            kernel = plain[mangled]
            block, dynamic = widths(text, kernel)
            dynamic = extra.get(kernel, dynamic)
            if not block:
                wrong.append(f"{name} {kernel}: no launch with a block width that can be read from the source")
            for arch, facts in archs.items():
                facts["occupancy"] = {w: occupancy(arch, facts["registers"], facts["shared"] + dynamic, w) for w in block}
                facts.update(counts.get((str(log)[: -len(".ptxas")], mangled, arch), {}))
            entry = {"widths": block, "dynamic_shared": dynamic, "sm": archs}
            table[f"{name} {kernel}"] = json.loads(json.dumps(entry, sort_keys=True))
    return table, wrong


def spills(key, arch, facts):
    if facts["spill_stores"] or facts["spill_loads"]:
        yield (f"{key}, sm_{arch}: spills {facts['spill_stores']} bytes stored, {facts['spill_loads']} loaded: fewer values "
               "alive at once, or a smaller block under __launch_bounds__")


def worse(recorded, table):
    """One line for each way in which `table` is worse than the recorded one."""
    for key, entry in table.items():
        if key not in recorded:
            yield f"{key}: a new kernel that the table does not have; {UPDATE}"
            continue
        for arch, now in entry["sm"].items():
            was = recorded[key]["sm"].get(arch)
            if was is None:
                yield f"{key}, sm_{arch}: an architecture that the table does not have; {UPDATE}"
                continue
            for field, slack in (("registers", 1.1), ("stack", 1.0), ("shared", 1.1)):
                if now[field] > slack * was[field]:
                    yield f"{key}, sm_{arch}: {field} {now[field]}, recorded {was[field]}; {UPDATE}"
            for width, share in now["occupancy"].items():
                if share < was["occupancy"].get(width, 0):
                    yield (f"{key}, sm_{arch}: occupancy {share:.0%} at {width} threads a block, recorded "
                           f"{was['occupancy'][width]:.0%}; {UPDATE}")
    for key in recorded.keys() - table.keys():
        yield f"{key}: in the table, but no longer compiled; {UPDATE}"


def markdown(document):
    table, archs = document["kernels"], sorted(LIMITS)
    lines = [f"Written by `make ptxas` from nvcc {document['nvcc']}; each cell is sm_{' / '.join(map(str, archs))}. "
             "Occupancy at the largest block that the kernel is launched with, in percent of the resident warps; "
             "registers, bytes of stack, static shared and constant memory; SASS instructions; "
             "behind the name what the launch adds of shared memory. No kernel spills.", "",
             "| kernel | block | registers | occupancy | stack | shared | constant | instructions |",
             "|---|---|---|---|---|---|---|---|"]
    lowest = []
    for key, entry in sorted(table.items()):
        sm, width = entry["sm"], str(max(entry["widths"]))

        def cell(field):
            values = [str(sm[str(a)].get(field, "-")) for a in archs]
            return values[0] if len(set(values)) == 1 else " / ".join(values)
        shares = [f"{100 * sm[str(a)]['occupancy'][width]:.0f}" for a in archs]
        block = width if len(entry["widths"]) == 1 else f"{entry['widths'][0]} - {width}"
        if entry["dynamic_shared"]:
            key += f" (+ {entry['dynamic_shared']} shared)"
        lines.append(f"| {key} | {block} | {cell('registers')} | {shares[0] if len(set(shares)) == 1 else ' / '.join(shares)} | "
                     f"{cell('stack')} | {cell('shared')} | {cell('constant')} | {cell('instructions')} |")
        lowest += [(sm[str(a)]["occupancy"][width], a, key) for a in archs]
    lines += ["", "Lowest occupancy at the largest block: " +
              "; ".join(f"{k} {o:.0%} (sm_{a})" for o, a, k in sorted(lowest)[:5]) + ".", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sass", type=Path, help="folder of cuobjdump and nvdisasm")
    parser.add_argument("--table", type=Path, default=HERE / "ptxas.json")
    args = parser.parse_args()
    version = re.search(r"V([\d.]+)", subprocess.run(["nvcc", "--version"], text=True, capture_output=True,
                                                     check=True).stdout).group(1)
    tools = args.sass or (Path(shutil.which("cuobjdump")).parent if shutil.which("cuobjdump") else None)
    table, wrong = collect(args.build, tools if args.record else None)
    for key, entry in table.items():
        for arch, facts in entry["sm"].items():
            wrong += spills(key, arch, facts)
    if args.check:
        recorded = json.loads(args.table.read_text())
        if recorded["nvcc"] == version:
            wrong += worse(recorded["kernels"], table)
        else:
            print(f"the table was written with nvcc {recorded['nvcc']}, this is {version}: only spills were looked at")
    for line in wrong:
        print(line)
    if args.record and not wrong:
        document = {"nvcc": version, "kernels": table}
        lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(e, sort_keys=True)}" for k, e in sorted(table.items()))
        args.table.write_text(f'{{"nvcc": "{version}", "kernels": {{\n{lines}\n}}}}\n')
        (args.table.parent / "table.md").write_text(markdown(document))
        print(f"{len(table)} kernels, {len(LIMITS)} architectures: {args.table} and table.md written")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
