#!/usr/bin/env python3
"""ledger.py check|update RESULT.json: compares the errors of one run of the table with tests/ledger.json, or writes them
there. An error more than half as bad again as the recorded one fails, and so does an entry that the ledger or the run
lacks, and one that ran then and does not now. Errors below FLOOR, four units in the last place of a float, are alike:
summation order and vector width differ between processors."""
import json
import os
import sys

LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ledger.json")
WORSE, FLOOR = 1.5, 4 * 2.0**-23
COMMAND = {"cpu": "make test-optable", "cuda": "make test-optable-cuda GPU=sim"}


def findings(result, ledger):
    """What is worse in `result` than in `ledger`, both {key: entry}."""
    for key in sorted(set(ledger) - set(result)):
        yield f"{key} is in the ledger and was not in this run"
    for key, entry in sorted(result.items()):
        old = ledger.get(key)
        if old is None:
            yield f"{key} is new: ledger.py update"
            continue
        if not entry["passed"]:
            yield f"{key} failed"
        if entry["reason"] and not old["reason"]:
            yield f"{key} was not run: {entry['reason']}"
        for what in ("forward", "gradient"):
            if what in old and what not in entry:
                yield f"{key} has no {what} error any more"
            elif what in old and entry[what] > max(WORSE * old[what], FLOOR):
                yield f"{key}: {what} error {entry[what]:.3g}, recorded {old[what]:.3g}, budget {old[what + '_budget']:.3g}"


def keyed(entries):
    return {f"{e['op']} {e['type']} {e['target']}": e for e in entries}


def self_test():
    """The check must refuse what it is there for."""
    good = {"op": "x", "type": "f32", "target": "cpu", "passed": True, "reason": "", "forward": 1e-6, "forward_budget": 1e-5}
    planted = [
        ([{**good, "forward": 1.6e-6}], "worse"),
        ([], "missing"),
        ([good, {**good, "op": "y"}], "new"),
        ([{**good, "passed": False}], "failed"),
        ([{**good, "reason": "no"}], "not run"),
        ([{k: v for k, v in good.items() if k != "forward"}], "no error"),
    ]
    missed = [name for result, name in planted if not list(findings(keyed(result), keyed([good])))]
    if list(findings(keyed([{**good, "forward": 1.4e-6}]), keyed([good]))):
        missed.append("refuses what is right")
    return missed


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "update"):
        sys.exit(__doc__)
    with open(sys.argv[2]) as file:
        result = keyed(json.load(file))
    targets = {entry["target"] for entry in result.values()}
    ledger = {}
    if os.path.exists(LEDGER):
        with open(LEDGER) as file:
            ledger = keyed(json.load(file))
    if sys.argv[1] == "update":
        kept = {k: e for k, e in ledger.items() if e["target"] not in targets}
        kept.update({k: {**e, "command": COMMAND[e["target"]]} for k, e in result.items()})
        with open(LEDGER, "w") as file:
            file.write("[\n" + ",\n".join(json.dumps(kept[k]) for k in sorted(kept)) + "\n]\n")
        return
    missed = self_test()
    print(f"not ok ledger_refuses_planted: {', '.join(missed)}" if missed else "ok ledger_refuses_planted")
    worse = list(findings(result, {k: e for k, e in ledger.items() if e["target"] in targets}))
    for line in worse:
        print(f"# {line}")
    print(f"not ok ledger: {len(worse)} findings" if worse or not result else "ok ledger")
    sys.exit(1 if missed or worse or not result else 0)


main()
