"""The published alarms as they are seen by a Prometheus that looks every 15 s.

Those it can read: a metric and a bound, or the ratio of two sums, each with its ``for``.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from bench.ports import free_port
from tests.cli.test_metrics_port import SIMPLE, Sample, is_true, sample_fits, samples_of

from milepost.cli.metrics_port import metrics_port
from milepost.settings import Settings

RULES = Path(__file__).parents[2] / "docs" / "alerts.yml"
EVERY = 15.0
WITHIN = 90.0
"""So soon after a trouble's begin its alarm is on."""
OF_THIS_MACHINE = {"MilepostDiskFull"}
RATIO = re.compile(r"(?P<over>.+) / (?P<under>.+) > (?P<bound>[\d.]+)")
TERM = re.compile(
    r"(?:max|sum)\((?:max by \(\w+\) \()?(?P<rate>rate\()?(?P<name>milepost_\w+)"
    r"(?:\{(?P<labels>[^}]*)\})?(?:\[(?P<minutes>\d+)m\])?\)+"
)
Look = tuple[float, Sequence[Sample]]


@dataclass
class Alarms:
    """Which alarms are on, by what was seen since this began to look."""

    url: str
    began: float = field(default_factory=time.monotonic)
    looks: list[Look] = field(default_factory=list)
    true_since: dict[str, float] = field(default_factory=dict)
    on: set[str] = field(default_factory=set)
    ever_on: dict[str, float] = field(default_factory=dict)
    """After how many seconds each went on first."""

    async def watch(self, session: aiohttp.ClientSession) -> None:
        while True:
            due = time.monotonic() + EVERY
            try:
                async with session.get(self.url) as got:
                    told = samples_of(await got.text())
            except (aiohttp.ClientError, OSError, TimeoutError):
                told = []
            self.see(time.monotonic(), told)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def see(self, now: float, samples: Sequence[Sample]) -> None:
        """One look: what is true for as long as its rule wants is on."""
        self.looks.append((now, samples))
        for rule in published():
            name = rule["alert"]
            if name in OF_THIS_MACHINE or not is_so(rule["expr"], self.looks):
                self.true_since.pop(name, None)
                self.on.discard(name)
            elif now - self.true_since.setdefault(name, now) >= seconds_of(rule):
                self.on.add(name)
                self.ever_on.setdefault(name, round(now - self.began, 1))

    async def goes_on(self, name: str) -> float:
        """Waits until it is on; how long after the begin that was, or an assertion."""
        while name not in self.ever_on:
            late = time.monotonic() - self.began > WITHIN
            assert not late, f"{name} is not on after {WITHIN:g} s, but {sorted(self.on)}"
            await asyncio.sleep(0.2)
        assert self.ever_on[name] <= WITHIN, self.ever_on
        return self.ever_on[name]

    async def goes_off(self, name: str, within: float) -> float:
        """Waits until it is off; how long that took, or an assertion."""
        began = time.monotonic()
        while name in self.on:
            assert time.monotonic() - began <= within, f"{name} is still on after {within:g} s"
            await asyncio.sleep(0.2)
        return round(time.monotonic() - began, 1)


@asynccontextmanager
async def watching_alarms(port: int) -> AsyncIterator[Alarms]:
    """Looks at the metrics on ``port`` until the block ends."""
    alarms = Alarms(f"http://127.0.0.1:{port}/metrics")
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        watch = asyncio.create_task(alarms.watch(session))
        try:
            yield alarms
        finally:
            watch.cancel()
            await asyncio.wait({watch})


@asynccontextmanager
async def alarms_of(dsn: str, *, judged: bool) -> AsyncIterator[Alarms | None]:
    """Looks at what is told of a database without an installation; at nothing where alarms are not
    ``judged``."""
    if not judged:
        yield None
        return
    settings = Settings(metrics_port=free_port(), state_dir=Path("/nonexistent"))
    async with metrics_port(settings, dsn, []), watching_alarms(settings.metrics_port) as alarms:
        yield alarms


@cache
def published() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def seconds_of(rule: dict[str, Any]) -> float:
    """For how long its expression must be true."""
    text: str = rule.get("for", "0s")
    return float(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def is_so(expression: str, looks: Sequence[Look]) -> bool:
    """Whether it is true at the last of ``looks``; what can't be read here is not."""
    if wanted := SIMPLE.fullmatch(expression):
        return any(is_true(wanted, sample) for sample in looks[-1][1])
    ratio = RATIO.fullmatch(expression)
    over, under = (TERM.fullmatch(ratio[part]) if ratio else None for part in ("over", "under"))
    if not (ratio and over and under):
        return False
    whole = total(under, looks)
    return whole > 0 and total(over, looks) / whole > float(ratio["bound"])


def total(term: re.Match[str], looks: Sequence[Look]) -> float:
    """A gauge's value, or by how much a counter grew; a series that is new grew from what it was
    first seen with, as in Prometheus."""
    if not term["rate"]:
        return sum(found(term, looks[-1]).values())
    since = looks[-1][0] - 60 * int(term["minutes"])
    seen = [found(term, look) for look in looks if look[0] >= since]
    return sum(
        max(0.0, value - before[series])
        for before, after in pairwise(seen)
        for series, value in after.items()
        if series in before
    )


def found(term: re.Match[str], look: Look) -> dict[frozenset[tuple[str, str]], float]:
    return {
        frozenset(sample[1].items()): sample[2]
        for sample in look[1]
        if sample_fits(term["name"], term["labels"], sample)
    }
