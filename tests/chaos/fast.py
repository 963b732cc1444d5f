"""An installation and a load whose journeys take seconds instead of days."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.carrier import fake_carrier
from tests.chaos.checker import drain, read, verdict
from tests.chaos.clients import Load, run_clients
from tests.chaos.installation import Installation, installation
from tests.chaos.ledger import Ledger
from tests.live_server import free_port

CLIENTS = 8


@dataclass
class Run:
    """An installation under load."""

    house: Installation
    load: Load
    clients: "asyncio.Task[None]"
    drain_seconds: float = 0
    wrong: list[str] = field(default_factory=list)

    async def finish(self, patience: float = 60) -> list[str]:
        """Stop the clients when each has its answer, let the carrier's news in, and judge."""
        self.load.stop.set()
        await self.clients
        self.drain_seconds = await drain(self.house, patience)
        self.wrong = verdict(self.load.ledger.path, await read(self.house))
        return self.wrong


def fast_settings(lease: float) -> dict[str, str]:
    """Everything on its way is asked about every second."""
    stages = ("before_first_scan", "in_transit", "in_delivery", "after_end")
    variables = {f"MILEPOST_CHECK_{stage.upper()}": "1" for stage in stages}
    return variables | {"MILEPOST_LEASE_SECONDS": str(lease)}


@asynccontextmanager
async def running_fast(
    lease: float, *, slow_every: int = 0, slow_seconds: float = 0, asked_every: int = 5
) -> AsyncIterator[Run]:
    """``milepost run`` with two processes of each kind, eight accounts and a load on it."""
    variables = fast_settings(lease) | {
        "MILEPOST_API_PROCESSES": "2",
        "MILEPOST_WORKER_PROCESSES": "2",
    }
    port = free_port()
    with installation(**variables) as house:
        await house.prepare(CLIENTS, port)
        ledger = Ledger(house.state_dir / "clients.ledger")
        asked = house.state_dir / "carrier.ledger"
        async with fake_carrier(
            asked, port, slow_every=slow_every, slow_seconds=slow_seconds
        ) as carrier:
            await asyncio.to_thread(house.start)
            load = Load([house.port], house.keys, carrier, ledger, asked_every)
            clients = asyncio.create_task(run_clients(load))
            try:
                yield Run(house, load, clients)
            finally:
                clients.cancel()
                await asyncio.to_thread(house.stop)
        ledger.close()
