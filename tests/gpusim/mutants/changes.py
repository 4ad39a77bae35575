"""Mutants of a kernel's PTX: what can be changed, where, and a name for each change that stays while the kernel does."""
import collections
import hashlib
import pickle
import re
import subprocess
from pathlib import Path

COUNTERPART = {"lt": "le", "le": "lt", "gt": "ge", "ge": "gt", "eq": "ne", "ne": "eq", "lo": "ls", "ls": "lo", "hi": "hs",
               "hs": "hi", "ltu": "leu", "leu": "ltu", "gtu": "geu", "geu": "gtu", "equ": "neu", "neu": "equ"}

Mutant = collections.namedtuple("Mutant", "key source kernel entry line kind was now where bound block")


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
    """[(entry, first line, last line, has a launch bound)] of a module's lines."""
    found, name, begin, bound = [], None, 0, False
    for number, line in enumerate(text.split("\n")):
        if m := re.search(r"\.entry (\w+)\(", line):
            name, begin, bound = m.group(1), None, False
        if name:
            bound = bound or ".maxntid" in line
            if line.startswith("{"):
                begin = number
            elif line.startswith("}") and begin is not None:
                found.append((name, begin, number, bound))
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
    if (m := re.match(r"(add|sub)(\.\S*f(?:32|64))\s+(.*)", code)) and not m.group(3).endswith(" 0f00000000;"):
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
        found.append(("shuffle", f"{m.group(1)}0{m.group(3)}"))  # 0: its own value
    if m := re.match(r"((?:mov|mul|add|fma)\S*f32\s+.*)0f([0-9A-F]{8})(.*)", code):
        if m.group(2) not in ("00000000", "80000000", "7F800000", "FF800000"):
            found.append(("constant", f"{m.group(1)}0f{int(m.group(2), 16) ^ 0x00800000:08X}{m.group(3)}"))
    return [(kind, indent + text) for kind, text in found]


def with_trap(lines, block):
    """The module where this straight piece of code stops the program: does any case reach it?"""
    at = block
    while re.match(r"\s*(\.|\$|//|\{|\}|$)", lines[at]):  # declarations, labels, comments
        at += 1
    return [*lines[:at], "\ttrap;", *lines[at:]]


def is_code(line):
    return not re.match(r"\s*(\.loc|\$L__tmp|\$L__func|//|$)", line)


def digest(*parts):
    return hashlib.sha1(" ".join(map(str, parts)).encode()).hexdigest()[:12]


def mutants_of_entry(source, lines, files, entry, kernel, begin, end, bound):
    # The kernel's own text: without source lines, and the labels without the number of the kernel in its module.
    body = [re.sub(r"\$L__BB\d+_", "$L__BB_", line) if is_code(line) else None for line in lines[begin:end]]
    text, where, wide, place = digest(*[b for b in body if b is not None]), "?", set(), 0
    block, ended = begin + 1, False  # the line where this straight piece of code begins
    for number in range(begin, end):
        line = lines[number]
        place += body[number - begin] is not None
        if ended or re.match(r"\$L__BB", line):
            block, ended = number, False
        ended = re.match(r"\s*(@\S+\s+)?(bra|ret|exit)\b", line) is not None
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
        if (m := re.match(r"\s*\.loc\s+(\d+) (\d+) \d+(?:.*inlined_at (\d+) (\d+))?", line)) and (m.group(4) or m.group(2)) != "0":
            where = f"{Path(files.get(m.group(3) or m.group(1), '?')).name}:{m.group(4) or m.group(2)}"
        for kind, now in changes(line):
            yield Mutant(digest(entry, text, place, now.strip()), source, kernel, entry, number, kind, line.strip(), now.strip(),
                         where, bound, block)


def all_mutants(build):
    """Every mutant of every kernel; kept in BUILD/gpusim/mutants.pickle for these texts and this file."""
    texts, cache = modules(build), build / "gpusim" / "mutants.pickle"
    stamp = digest(Path(__file__).read_text(), *texts.values())
    if cache.exists():
        kept = pickle.loads(cache.read_bytes())
        if kept[0] == stamp:
            return [Mutant(*m) for m in kept[1]]
    found = find_mutants(texts)
    cache.write_bytes(pickle.dumps((stamp, [tuple(m) for m in found])))
    return found


def find_mutants(texts):
    found = []
    for source, text in texts.items():
        lines = text.split("\n")
        files = dict(re.findall(r'^\.file\s+(\d+) "(.*)"', text, re.M))
        bounds = entries(text)
        names = plain_names([e for e, _, _, _ in bounds])
        for entry, begin, end, bound in bounds:
            found += mutants_of_entry(source, lines, files, entry, names[entry], begin, end, bound)
    return found


def sample_of(mutants):
    """One of a kind for each source line of a kernel, the instances of a template counted as one kernel: the one whose
    name is the smallest, so that a change in one kernel leaves the sample of the others as it is."""
    best = {}
    for m in mutants:
        place = (m.source, m.kernel.split("<")[0], m.where, m.kind)
        if place not in best or m.key < best[place].key:
            best[place] = m
    chosen = {m.key for m in best.values()}
    return [m for m in mutants if m.key in chosen]
