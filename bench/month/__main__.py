"""``python -m bench.month``: a month of asking beside a poller that asks every two hours.

Exit code 1 where the month of the first row takes more than half the poller's calls, or sees the
median scan later.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.month.asking import (
    LEARN_EVERY,
    SAMPLES,
    SOON,
    Figures,
    Learn,
    Month,
    every_two_hours,
    past,
    together,
)
from bench.month.journeys import ABROAD, ECONOMY, HOUR, USUAL, Service, parcels
from milepost.tracking.expectation import next_scan
from milepost.tracking.lane_statistics import Sample
from milepost.tracking.vocabulary import Phase

MOST_CALLS = 0.5
Row = dict[str, Any]
AT_THE_DOOR = (Phase.IN_DELIVERY, Phase.ATTEMPTED, Phase.PUP, Phase.DELIVERED)
FEWER = 10
"""The other months have so many times fewer parcels."""


@dataclass(frozen=True)
class Mix:
    """One month: whose parcels, and what differs from the first one."""

    name: str
    services: Sequence[Service] = USUAL
    seed: int = 1
    shift: int = 0
    learn_from: Learn | None = next_scan
    is_known: bool = False
    as_one: bool = False
    soon: float = SOON
    learn_every: float = LEARN_EVERY

    def run(self, count: int) -> tuple[Figures, Figures]:
        """As we ask, and every two hours."""
        whole = sum(service.share for service in self.services)
        made = [
            parcels(one, int(count * one.share / whole), self.seed, shift=self.shift)
            for one in self.services
        ]
        fixed = together(every_two_hours(some) for some in made)
        if self.as_one:
            one = replace(self.services[0], name="all in one")
            return Month(one).run([parcel for some in made for parcel in some]), fixed
        ours = together(
            self._month(service).run(some)
            for service, some in zip(self.services, made, strict=True)
        )
        return ours, fixed

    def _month(self, service: Service) -> Month:
        known: Sequence[Sample] = ()
        if self.is_known:
            known = past(parcels(service, SAMPLES, self.seed + 1000, shift=self.shift))
        return Month(service, self.learn_from, known, self.soon, self.learn_every)


TEN_AT_ONCE = tuple(replace(service, batch_size=10) for service in USUAL)
MIXES = (
    Mix("from the first day on"),
    Mix("another seed", seed=2),
    Mix("lanes known before", is_known=True),
    Mix("slow services only", (ABROAD, ECONOMY)),
    Mix("all services one lane", as_one=True),
    Mix("scans six hours off the clock", shift=6 * HOUR),
    Mix("lanes that never learn", learn_from=None),
    Mix("ten in a request", TEN_AT_ONCE, soon=0),
    Mix("ten, taking along", TEN_AT_ONCE),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the first month meets the bar, else 1."""
    parser = argparse.ArgumentParser(prog="bench.month", description=__doc__)
    parser.add_argument("--parcels", type=int, default=100_000)
    parser.add_argument("--json", type=Path, default=Path("build/poll_budget.json"))
    parser.add_argument("--first", action="store_true", help="the first month only")
    chosen = parser.parse_args(arguments)
    few = max(1000, chosen.parcels // FEWER)
    rows = [_timed(MIXES[0], chosen.parcels)]
    if not chosen.first:
        rows += [_timed(mix, few) for mix in MIXES[1:]]
    Console(width=120).print(_table(rows))
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    first = rows[0]
    enough = first["calls"] <= MOST_CALLS and first["median"] <= first["fixed_median"]
    return 0 if enough else 1


def _timed(mix: Mix, count: int) -> Row:
    started, used = time.monotonic(), time.process_time()
    ours, fixed = mix.run(count)
    return {
        "name": mix.name,
        "parcels": count,
        "questions": ours.questions,
        "requests": ours.requests,
        "fixed_questions": fixed.questions,
        "calls": round(ours.requests / fixed.requests, 3),
        "per_change": round(ours.requests / ours.changes, 2),
        "fixed_per_change": round(fixed.requests / fixed.changes, 2),
        "median": round(ours.hours(0.5), 2),
        "fixed_median": round(fixed.hours(0.5), 2),
        "mean": round(ours.mean_hours, 2),
        "fixed_mean": round(fixed.mean_hours, 2),
        "p95": round(ours.hours(0.95), 1),
        "fixed_p95": round(fixed.hours(0.95), 1),
        "door_median": round(ours.hours(0.5, *AT_THE_DOOR), 2),
        "fixed_door_median": round(fixed.hours(0.5, *AT_THE_DOOR), 2),
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
    }


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="A month of asking, beside a question every two hours (in brackets)")
    table.add_column("")
    for column in (
        "parcels",
        "calls",
        "per change",
        "median h",
        "mean h",
        "p95 h",
        "at the door h",
        "cpu s",
    ):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            str(row["name"]),
            f"{row['parcels']:,}",
            f"{row['requests']:,} ({row['fixed_questions']:,}): {row['calls']}",
            *(
                f"{row[name]} ({row['fixed_' + name]})"
                for name in ("per_change", "median", "mean", "p95", "door_median")
            ),
            str(row["cpu_seconds"]),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
