"""An installation and a load whose journeys take seconds instead of days."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from bench.ports import free_port
from tests.chaos.carrier import FakeCarrier, fake_carrier
from tests.chaos.checker import drain, read, verdict
from tests.chaos.clients import ASK_SECONDS, MOST_ON_THE_WAY, Load, run_clients
from tests.chaos.deliveries import read_told, verdict_on_told
from tests.chaos.installation import Installation, installation
from tests.chaos.ledger import Ledger
from tests.chaos.readers import Readers, not_read, reading, verdict_on_readers
from tests.chaos.subscribers import IN_TIME, Subscribers, subscribers

CLIENTS = 8
FEW = 20
"""Parcels on the way when a broken run goes on."""
PATIENCE = 180
"""For what goes on when all that was killed is back."""


@dataclass
class Run:
    """An installation under load."""

    house: Installation
    load: Load
    clients: "asyncio.Task[None]"
    subscribers: Subscribers
    readers: Readers
    drain_seconds: float = 0
    wrong: list[str] = field(default_factory=list)

    async def finish(self, patience: float = 240) -> list[str]:
        """Stop the clients when each has its answer, let the carrier's news in, and judge."""
        await self.pause()
        self.subscribers.calm = True
        self.drain_seconds = await drain(self.house, patience)
        await self.readers.catch_up(patience)
        feed = (await read_told(self.house)).feed
        accounts = [one.key.account_id for one in self.readers.all]
        self.wrong = [
            *verdict(self.load.ledger.path, await read(self.house)),
            *await self.wrong_of_told(),
            *not_read(self.readers.ledger.path, feed, accounts),
        ]
        return self.wrong

    async def wrong_of_told(self) -> list[str]:
        """What of all that is recorded is not told as it should be, by now."""
        told = await read_told(self.house)
        return [
            *verdict_on_told(self.subscribers.ledger.path, told),
            *verdict_on_readers(self.readers.ledger.path, told.feed),
        ]

    async def pause(self) -> None:
        """Have the clients stop, each when it has its answer."""
        self.load.stop.set()
        await self.clients

    def go_on(self) -> None:
        """Have the clients register again, whatever still is on its way."""
        self.load.stop.clear()
        self.load.most_on_the_way = self.load.on_the_way + FEW
        self.clients = asyncio.create_task(run_clients(self.load))

    async def answered_again(self, times: int = 20) -> None:
        """Until so many more registrations are acknowledged."""
        before = len(self.load.acknowledged)
        async with asyncio.timeout(PATIENCE):
            while len(self.load.acknowledged) < before + times:
                await asyncio.sleep(0.02)


def fast_settings(lease: float) -> dict[str, str]:
    """Everything on its way is asked about every second, at whatever hour and on whatever day."""
    stages = ("before_first_scan", "in_transit", "in_delivery", "after_end", "longest")
    variables = {f"MILEPOST_CHECK_{stage.upper()}": "1" for stage in stages}
    return variables | {"MILEPOST_LEASE_SECONDS": str(lease)}


@asynccontextmanager
async def running_fast(
    lease: float,
    *,
    slow_every: int = 0,
    slow_seconds: float = 0,
    asked_every: int = 5,
    most_on_the_way: int = MOST_ON_THE_WAY,
    kind: type[FakeCarrier] = FakeCarrier,
    subscribed: int = 0,
    ask_seconds: float = ASK_SECONDS,
    disk: Callable[[Path], AbstractContextManager[object]] = nullcontext,
    **more: str,
) -> AsyncIterator[Run]:
    """``milepost run`` with two processes of each kind, eight accounts and a load on it.

    ``subscribed`` accounts have subscribers and a reader of their feed, ``kind`` is which carrier
    answers, ``ask_seconds`` is how long a client waits for its answer, ``disk`` makes room for the
    database in the state directory, ``more`` are further variables of the environment.
    """
    variables = {
        **fast_settings(lease),
        **IN_TIME,
        "MILEPOST_API_PROCESSES": "2",
        "MILEPOST_WORKER_PROCESSES": "2",
        **more,
    }
    port = free_port()
    with installation(**variables) as house, disk(house.state_dir):
        await house.prepare(CLIENTS, port)
        ledger = Ledger(house.state_dir / "clients.ledger")
        asked = house.state_dir / "carrier.ledger"
        told = house.state_dir / "subscribers.ledger"
        async with (
            fake_carrier(
                asked, port, slow_every=slow_every, slow_seconds=slow_seconds, kind=kind
            ) as carrier,
            subscribers(told) as listening,
        ):
            await asyncio.to_thread(house.start)
            heard = house.keys[:subscribed]
            await listening.connect(house, heard)
            load = Load([house.port], house.keys, carrier, ledger, asked_every, most_on_the_way)
            load.ask_seconds = ask_seconds
            async with reading(house.state_dir / "readers.ledger", heard, load.ports) as readers:
                clients = asyncio.create_task(run_clients(load))
                run = Run(house, load, clients, listening, readers)
                try:
                    yield run
                finally:
                    run.clients.cancel()
                    await asyncio.to_thread(house.stop)
        ledger.close()
