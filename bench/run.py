"""One run of the suite: how large, where, and what it says on the way."""

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.clones import CARRIER, Copies, copy, make_template
from bench.cpu import cpu_seconds
from bench.house import Database, House, Merchant, load
from bench.load import Order, Report

SCANS = 4
"""Of a parcel on its way; its v3 answer has about 4 kB."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything; ``seconds`` is one measurement, ``pairs`` how often each is made."""

    parcels: int = 100_000
    few_parcels: int = 10_000
    many_parcels: int = 500_000
    few_due: int = 10_000
    many_due: int = 1_000_000
    import_rows: int = 100_000
    batches: int = 4
    records: int = 1_600
    checks: int = 3_000
    claims: int = 15
    in_flight: int = 1_000
    deliveries: int = 3_000
    connections: int = 1_000
    each: int = 3
    events: int = 60
    seconds: float = 2.0
    pairs: int = 4


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

    def say(self, text: str) -> None:
        """A line of progress."""
        sys.stderr.write(f"{time.monotonic() - self.started:6.1f} s  {text}\n")
        sys.stderr.flush()

    async def filled(self, name: str, parcels: int) -> Filled:
        """A new database with a merchant and that many parcels, each with its finished answers."""
        self.say(f"filling {name}: {parcels:,} parcels")
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

    async def loaded(self, order: Order, *processes: int) -> tuple[float, Report]:
        """An order filled, and the CPU microseconds a request of these process trees."""
        reports: list[Report] = []

        async def work() -> int:
            reports.append(await load(order))
            return reports[0].requests

        cost, _ = await self.measured(work, *processes)
        return cost, reports[0]
