"""Two APIs and three workers on one external PostgreSQL: one of each dies, one worker sleeps.

The short form pauses a worker for a little longer than its lease of two seconds;
``CHAOS_PAUSE_SECONDS=60`` for longer than any lease in use (``make promises``).
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil
import pytest
from bench.ports import free_port
from tests.chaos.carrier import FakeCarrier, fake_carrier
from tests.chaos.checker import drain, read, verdict
from tests.chaos.clients import Load, run_clients
from tests.chaos.deliveries import extra_deliveries, read_told, verdict_on_told
from tests.chaos.fast import fast_settings
from tests.chaos.installation import Installation, installation
from tests.chaos.ledger import Ledger, operations
from tests.chaos.questions import asked, asked_at_once, over_quota
from tests.chaos.subscribers import IN_TIME, Subscribers, subscribers
from tests.chaos.supervisor import kill
from tests.chaos.test_broken_twins import break_function
from tests.live_server import wait_until_ready
from tests.promises.figures import keep

from milepost.db.embedded import EmbeddedPostgres

LEASE = 2.0
PAUSE = float(os.environ.get("CHAOS_PAUSE_SECONDS", "3"))
WARM_SECONDS = 2.5
QUOTA = 12
"""A second, of all workers together."""
WINDOW = 5.0
SOON = 0.5
"""Nothing is planned again for the second after an answer."""
ANSWER_SECONDS = 1.5
"""Within a lease: nobody is asked twice for that long, unless the lease does not count."""
CLIENTS = 6
SUBSCRIBED = 2
"""Accounts that have subscribers, whose lanes all workers share."""
pytestmark = [pytest.mark.promise, pytest.mark.slow]


@dataclass
class Cluster:
    """Processes as on five machines, with nothing in common but the database and the key."""

    house: Installation
    carrier: FakeCarrier
    load: Load
    subscribers: Subscribers
    apis: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        one = {"MILEPOST_API_PROCESSES": "1", "MILEPOST_WORKER_PROCESSES": "1"}
        for port in self.load.ports:
            self.apis.append(self.house.spawn("api", port, **one))
        self.workers = [self.house.spawn("worker", 0, **one) for _ in range(3)]
        for process, port in zip(self.apis, self.load.ports, strict=True):
            wait_until_ready(process, port, self.house.log)

    def working(self, number: int) -> psutil.Process:
        """The process that works below the ``number``-th ``milepost worker``."""
        return self.house.serving(self.workers[number])[0]


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    port = free_port()
    with installation(**fast_settings(LEASE), **IN_TIME) as house:
        server = EmbeddedPostgres(house.settings)
        ledger = Ledger(house.state_dir / "clients.ledger")
        try:
            await house.prepare_on(server, CLIENTS, port, calls_per_second=QUOTA)
            house.variables |= {
                "MILEPOST_DATABASE_URL": house.dsn,
                "MILEPOST_SECRET_KEY_FILE": str(house.state_dir / "secret.key"),
            }
            asked_of = house.state_dir / "carrier.ledger"
            told = house.state_dir / "subscribers.ledger"
            async with (
                fake_carrier(asked_of, port, slow_every=4, slow_seconds=0.3) as carrier,
                subscribers(told) as listening,
            ):
                await listening.connect(house, house.keys[:SUBSCRIBED])
                ports = [free_port(), free_port()]
                load = Load(ports, house.keys, carrier, ledger, asked_every=5, most_on_the_way=15)
                made = Cluster(house, carrier, load, listening)
                await asyncio.to_thread(made.start)
                yield made
                await asyncio.to_thread(house.stop)
        finally:
            ledger.close()
            await asyncio.to_thread(house.stop)
            await asyncio.to_thread(server.stop)


@pytest.mark.timeout(400 + 4 * PAUSE)
async def test_a_dead_and_a_sleeping_process_lose_and_double_nothing() -> None:
    async with cluster() as made:
        clients = asyncio.create_task(run_clients(made.load))
        try:
            await warmed_up(made.load)
            paused = await sleep_and_die(made)
            await warmed_up(made.load)
        finally:
            made.load.stop.set()
            await clients
        made.subscribers.calm = True
        drained = await drain(made.house, 240)
        wrong = verdict(made.load.ledger.path, await read(made.house))
        wrong += verdict_on_told(made.subscribers.ledger.path, await read_told(made.house))
        questions = asked(made.carrier.ledger.path)
        known = operations(made.load.ledger.path).values()
        keep(
            "P1 several processes",
            paused_seconds=paused,
            acknowledged=sum(bool(one.answers) for one in known),
            watched=made.load.watched,
            questions=len(questions),
            drain_seconds=round(drained, 1),
            extra_deliveries=extra_deliveries(made.subscribers.ledger.path),
            violations=len(wrong),
        )
        assert wrong == [], "\n".join(wrong[:8])
        assert over_quota(questions, QUOTA, WINDOW) == []
        assert asked_at_once(questions, SOON) == []
        await without_leases(made)


async def warmed_up(load: Load) -> None:
    """For some seconds, and until enough is on its way, which takes a busy machine longer."""
    await asyncio.sleep(WARM_SECONDS)
    async with asyncio.timeout(120):
        while load.watched <= 10:
            await asyncio.sleep(0.1)


async def sleep_and_die(made: Cluster) -> float:
    """One worker stops for longer than its lease, beside it an API and a worker die for good."""
    sleeper = made.working(0)
    started = time.monotonic()
    sleeper.send_signal(signal.SIGSTOP)
    # The machine is gone: parent and child, and nobody starts them again.
    for dead in (made.workers[1], made.apis[1]):
        below = psutil.Process(dead.pid).children(recursive=True)
        kill([psutil.Process(dead.pid), *below])
    made.load.ports[:] = made.load.ports[:1]
    await asyncio.sleep(PAUSE)
    assert sleeper.status() == psutil.STATUS_STOPPED
    sleeper.send_signal(signal.SIGCONT)
    return round(time.monotonic() - started, 1)


async def without_leases(made: Cluster) -> None:
    """The planted fault: a claimed row stays due, so that the other worker takes it as well.

    An answer is long enough in coming for the other to look, on however busy a machine.
    """
    made.carrier.slow_every, made.carrier.slow_seconds = 1, ANSWER_SECONDS
    await break_function(
        made.house, "claim_due", (r"due_at = now\(\) \+ p_lease", "due_at = now()")
    )
    made.load.stop.clear()
    planted = time.time()
    clients = asyncio.create_task(run_clients(made.load))
    doubled: list[str] = []
    for _ in range(90):
        await asyncio.sleep(1)
        if doubled := asked_at_once(asked(made.carrier.ledger.path, planted), ANSWER_SECONDS):
            break
    made.load.stop.set()
    await clients
    keep("P1 several processes: claims without a lease", doubled=len(doubled))
    assert doubled


def test_the_ledgers_judges_see_what_they_are_for() -> None:
    steady = [(n / 10, f"n{n}") for n in range(100)]
    assert over_quota(steady, 11, 5) == []
    hasty = sorted([*steady, *((2 + n / 100, f"m{n}") for n in range(10))])
    assert over_quota(hasty, 11, 5) != []
    assert asked_at_once([(1, "a"), (1.2, "b"), (2, "a")], 0.5) == []
    assert asked_at_once([(1, "a"), (1.2, "a")], 0.5) == ["a: asked again after 0.200 s"]
