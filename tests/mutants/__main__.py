"""``make mutants``: which small wrongs in limiters, fence and egress do our tests see?

One server for all. Each mutant is tried in a process of its own, forked from one that has read all
modules and tests: a function of the database is replaced in a database that the tests' own are made
from, a Python function gets other code. Tools for mutating Python (mutmut, cosmic-ray) don't reach
the database, where most of these rules are, and start a server for each mutant; so this is our own.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.mutants.subjects import EQUIVALENT, SUBJECTS, Subject
from tests.mutants.trial import Verdict, served, trials_of, try_all

BAR = 0.85


def main() -> int:
    options = argparse.ArgumentParser("mutants")
    options.add_argument("subjects", nargs="*", help="those alone, by name")
    options.add_argument("--every", type=int, default=1, help="a sample: every n-th mutant")
    options.add_argument("--at-once", type=int, default=2, help="how many are tried at a time")
    options.add_argument("--only", default="", help="mutants whose name this expression finds")
    options.add_argument("--add", action="store_true", help="keep the verdicts of earlier runs")
    options.add_argument("--output", type=Path, default=Path("build/mutants.json"))
    chosen = options.parse_args()
    # Told to end, it stops its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    told: dict[str, Any] = {}
    if chosen.add and chosen.output.exists():
        told = json.loads(chosen.output.read_text())
    summaries = []
    with served() as dsn:
        for subject in SUBJECTS:
            if chosen.subjects and subject.name not in chosen.subjects:
                continue
            trials = asyncio.run(trials_of(subject, dsn))
            some = [one for one in trials if re.search(chosen.only, one.name)][:: chosen.every]
            said = told.get(subject.name, {}).get("verdicts", {})
            for trial, verdict in try_all(some, dsn, chosen.at_once):
                said[trial.name] = verdict
                print(f"{verdict}: {trial.name}", flush=True)
                told[subject.name] = summed_up([one.name for one in trials], said)
                write(chosen.output, told)
            summaries.append(told[subject.name])
            show(subject, told[subject.name])
    return 0 if all(one["score"] >= BAR and not one["errors"] for one in summaries) else 1


def write(path: Path, told: dict[str, Any]) -> None:
    """After each mutant: a run that is cut off has told what it found out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def summed_up(names: Sequence[str], said: dict[str, str]) -> dict[str, Any]:
    """The score counts neither what the database refuses to read nor what is equivalent."""

    def those(verdict: Verdict) -> list[str]:
        return [name for name in names if said.get(name) == verdict]

    survived = [name for name in those(Verdict.SURVIVED) if name not in EQUIVALENT]
    killed = len(those(Verdict.KILLED)) + len(those(Verdict.TIMED_OUT))
    counted = killed + len(survived)
    return {
        "score": round(killed / counted, 4) if counted else 1.0,
        "mutants": len(names),
        "untried": sum(name not in said for name in names),
        "unreadable": len(those(Verdict.UNREADABLE)),
        "killed": killed,
        "equivalent": {
            name: EQUIVALENT[name] for name in those(Verdict.SURVIVED) if name in EQUIVALENT
        },
        "not equivalent": [
            name for name in EQUIVALENT if said.get(name) in (Verdict.KILLED, Verdict.TIMED_OUT)
        ],
        "errors": those(Verdict.ERROR),
        "survived": survived,
        "verdicts": {name: said[name] for name in names if name in said},
    }


def show(subject: Subject, summary: dict[str, Any]) -> None:
    counts = {kind: len(summary[kind]) for kind in ("equivalent", "survived", "errors")}
    counts |= {kind: summary[kind] for kind in ("mutants", "untried", "unreadable", "killed")}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{subject.name:16} {summary['score']:.1%} of {told}")
    for kind in ("survived", "errors", "not equivalent"):
        for name in summary[kind]:
            print(f"  {kind}: {name}", flush=True)


if __name__ == "__main__":
    # Not by way of exit handlers, which belong to the processes that are tried.
    code = 143
    try:
        code = main()
    except SystemExit as ended:
        print(ended)
    finally:
        sys.stdout.flush()
        os._exit(code)
