"""One run of the suite: how large, where, and what it says on the way."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

from bench.clones import CARRIER, Copies, copy, make_template
from bench.cpu import cpu_seconds
from bench.house import Database, House, Merchant, load
from bench.load import Order, Report
from bench.rows import Row, failed

Part: TypeAlias = Callable[[], Awaitable[list[Row]]]
SCANS = 4
"""Of a parcel on its way; its v3 answer has about 4 kB."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything.

    ``seconds`` is one measurement, ``pairs`` how often each is made, ``clients`` how many ask at a
    time.
    """

    parcels: int = 100_000
    few_parcels: int = 10_000
    many_parcels: int = 500_000
    few_due: int = 10_000
    many_due: int = 1_000_000
    import_rows: int = 100_000
    batches: int = 4
    records: int = 1_200
    checks: int = 3_000
    claims: int = 15
    in_flight: int = 1_000
    deliveries: int = 3_000
    connections: int = 1_000
    each: int = 3
    events: int = 60
    seconds: float = 2.0
    pairs: int = 4
    clients: int = 32


@dataclass(frozen=True, slots=True)
class Filled:
    """A database with a merchant and so many copies of its template."""

    database: Database
    merchant: Merchant
    template: int
    parcels: int


@dataclass(slots=True)
class Run:
    """What every part of the suite works with."""

    house: House
    scale: Scale
    started: float = field(default_factory=time.monotonic)
    _steps: list[tuple[float, str]] = field(default_factory=list)
    _filled: dict[str, Filled | BaseException] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """A line of progress, as a step begins."""
        at = time.monotonic() - self.started
        self._steps.append((at, text))
        sys.stderr.write(f"{at:6.1f} s  {text}\n")
        sys.stderr.flush()

    def took(self) -> list[tuple[float, str]]:
        """The seconds of each step so far, the longest first."""
        ends = [*self._steps, (time.monotonic() - self.started, "")]
        return sorted(((end - at, text) for (at, text), (end, _) in pairwise(ends)), reverse=True)

    async def each(self, parts: Mapping[str, Part]) -> list[Row]:
        """The rows of all parts, in turn; one that fails is a row that is not enough."""
        rows: list[Row] = []
        for name, part in parts.items():
            try:
                rows += await part()
            except Exception as error:  # noqa: BLE001 told in the table, and in the exit code
                rows.append(failed(name, error))
                self.say(f"{name} failed: {rows[-1].told}")
        return rows

    async def fill(self, wanted: Mapping[str, int]) -> list[Row]:
        """Databases with so many parcels, beside each other; ``filled`` tells what failed."""
        if not wanted:
            return []
        names = ", ".join(f"{name} with {parcels:,}" for name, parcels in wanted.items())
        self.say(f"filling databases: {names} parcels")
        async with self.house.filling():
            made = await asyncio.gather(
                *(self._fill(name, parcels) for name, parcels in wanted.items()),
                return_exceptions=True,
            )
        self._filled |= dict(zip(wanted, made, strict=True))
        return []

    def filled(self, name: str) -> Filled:
        """One of the databases that were to be filled; raises what hindered it."""
        found = self._filled.get(name, RuntimeError(f"the database {name} was not filled"))
        if isinstance(found, BaseException):
            raise found
        return found

    async def _fill(self, name: str, parcels: int) -> Filled:
        """A new database with a merchant and that many parcels, each with its finished answers."""
        database = await self.house.database(name)
        await database.login(CARRIER)
        merchant = await database.merchant("merchant")
        template = await make_template(database, merchant.account_id, SCANS)
        await copy(database, Copies(merchant.account_id, template, parcels))
        return Filled(database, merchant, template, parcels)

    async def measured(
        self, work: Callable[[], Awaitable[int]], *processes: int
    ) -> tuple[float, float]:
        """What ``work`` costs: CPU microseconds of these process trees, and seconds, each one."""
        cpu, started = cpu_seconds(*processes), time.perf_counter()
        done = await work()
        seconds = time.perf_counter() - started
        return 1e6 * (cpu_seconds(*processes) - cpu) / done, seconds / done

    async def load(self, order: Order) -> Report:
        """An order filled, by as many clients as this run has."""
        return await load(replace(order, connections=self.scale.clients))

    async def loaded(self, order: Order, *processes: int) -> tuple[float, Report]:
        """An order filled, and the CPU microseconds a request of these process trees."""
        reports: list[Report] = []

        async def work() -> int:
            reports.append(await self.load(order))
            return reports[0].requests

        cost, _ = await self.measured(work, *processes)
        return cost, reports[0]
