"""``python -m bench``: measure everything, print the table, write the JSON, say it by exit code."""

import argparse
import asyncio
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench import batches, catalogue, checking, reads, recording, sizes, telling, writes
from bench.house import House
from bench.rows import Row, failed, print_table, write_json
from bench.run import Run, Scale

_LARGE = {"many_parcels": 5_000_000, "many_due": 10_000_000}
Part = Callable[[], Awaitable[list[Row]]]


async def measure(run: Run, wanted: Sequence[str]) -> list[Row]:
    """The rows of the wanted parts; a part that fails is a row that is not enough."""
    scale = run.scale
    rows: list[Row] = []
    parts: dict[str, Part] = {}
    if {"reads", "writes", "records", "batches"} & set(wanted):
        main = await run.filled("main", scale.parcels)
        parts |= {
            "reads": lambda: reads.rows(run, main),
            "writes": lambda: writes.rows(run, main),
            "records": lambda: recording.rows(run, main),
            "batches": lambda: batches.rows(run, main),
        }
    if "checks" in wanted:
        parts["checks"] = lambda: checking.rows(run)
    if "telling" in wanted:
        parts["telling"] = lambda: telling.rows(run)
    if "catalogue" in wanted:
        parts["catalogue"] = lambda: catalogue.rows(run)
    if "sizes" in wanted:
        few = await run.filled("few", scale.few_parcels)
        many = await run.filled("many", scale.many_parcels)
        parts["sizes"] = lambda: sizes.rows(run, few, many)
    for name in wanted:
        try:
            rows += await parts[name]()
        except Exception as error:  # noqa: BLE001 told in the table, and in the exit code
            rows.append(failed(name, error))
            run.say(f"{name} failed: {rows[-1].told}")
    return rows


PARTS = ("reads", "writes", "records", "batches", "checks", "telling", "catalogue", "sizes")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every limit is met, else 1."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS) + " (all)")
    parser.add_argument("--large", action="store_true", help="the size rows at 5M and 10M rows")
    parser.add_argument("--scale", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--state", type=Path, default=Path("build/bench/state"))
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}")
    scale = _scaled(Scale(**_LARGE) if chosen.large else Scale(), chosen.scale)
    wanted = chosen.parts or (("sizes",) if chosen.large else PARTS)
    shutil.rmtree(chosen.state, ignore_errors=True)
    chosen.state.mkdir(parents=True)
    # Told to stop, it stops what it started.
    signal.signal(signal.SIGTERM, _leave)
    try:
        with House(chosen.state.resolve()).open() as house:
            rows = asyncio.run(measure(Run(house, scale), wanted))
    finally:
        shutil.rmtree(chosen.state, ignore_errors=True)
    print_table(rows, Console())
    write_json(rows, chosen.json)
    return 0 if all(row.enough for row in rows) else 1


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


def _scaled(scale: Scale, changes: Sequence[str]) -> Scale:
    for change in changes:
        name, _, number = change.partition("=")
        kind = type(getattr(scale, name))
        scale = replace(scale, **{name: kind(number)})
    return scale


if __name__ == "__main__":
    sys.exit(main())
