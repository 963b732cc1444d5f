"""``python -m bench``: measure everything, print the table, write the JSON, say it by exit code."""

import argparse
import asyncio
import fcntl
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rich.console import Console

import bench.unhurried  # noqa: F401
from bench import batches, catalogue, checking, reads, recording, sizes, telling, writes
from bench.house import House
from bench.rows import Row, print_table, write_json
from bench.run import Part, Run, Scale

_LARGE = {"many_parcels": 5_000_000, "many_due": 10_000_000}


async def measure(run: Run, wanted: Sequence[str]) -> list[Row]:
    """The rows of the wanted parts; a part that fails is a row that is not enough."""
    scale = run.scale
    needed = {}
    if {"reads", "writes", "records", "batches"} & set(wanted):
        needed = {"main": scale.parcels}
    if "sizes" in wanted:
        needed |= {"few": scale.few_parcels, "many": scale.many_parcels}
    parts: dict[str, Part] = {
        "reads": lambda: reads.rows(run, run.filled("main")),
        "writes": lambda: writes.rows(run, run.filled("main")),
        "records": lambda: recording.rows(run, run.filled("main")),
        "batches": lambda: batches.rows(run, run.filled("main")),
        "checks": lambda: checking.rows(run),
        "telling": lambda: telling.rows(run),
        "catalogue": lambda: catalogue.rows(run),
        "sizes": lambda: sizes.rows(run, run.filled("few"), run.filled("many")),
    }
    filling: dict[str, Part] = {"filling": lambda: run.fill(needed)}
    return await run.each(filling | {name: parts[name] for name in wanted})


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
    state = chosen.state.resolve()
    with _stoppable(), _alone(state) as is_alone:
        if not is_alone:
            parser.error(f"another one measures in {state}; --state says where else")
        with House(state).open() as house:
            run = Run(house, scale)
            rows = asyncio.run(measure(run, wanted))
            took = run.took()
    print_table(rows, Console())
    write_json(rows, chosen.json)
    sys.stderr.write("What took longest:\n")
    for seconds, step in took:
        sys.stderr.write(f"{seconds:6.1f} s  {step}\n")
    return 0 if all(row.enough for row in rows) else 1


@contextmanager
def _alone(state: Path) -> Iterator[bool]:
    """Whether nobody else uses that folder, nor will until the end of the block."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_name(state.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            Path(lock.name).unlink(missing_ok=True)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Told to stop in this block, or left by its terminal, it stops what it started."""
    before = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
