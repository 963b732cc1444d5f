"""P6: a tenant that floods hurts only itself: the other's answers and checks stay as they were.

Tenant A registers as fast as it can and has ``P6_BACKLOG`` (2,000) parcels due; tenant B asks five
times a second and has a few parcels. B is compared with itself before the noise, by ratio.
"""

import asyncio
import base64
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest
from tests.chaos.clients import TRACKING, document
from tests.chaos.housekeeping import command
from tests.chaos.installation import Key
from tests.chaos.questions import asked
from tests.promises.figures import keep
from tests.promises.pile import pile_up
from tests.promises.town import Town, town

BACKLOG = int(os.environ.get("P6_BACKLOG", "2000"))
SECONDS = float(os.environ.get("P6_SECONDS", "5"))
CALLS_PER_SECOND = 200
FLOODS = 6
QUIET_PARCELS = 10
RATIO = 25
"""How much slower B's median answer may be; wide, for A's flood and this test share the cores."""
pytestmark = [
    pytest.mark.promise,
    pytest.mark.slow,
    pytest.mark.timeout(400 + 3 * SECONDS + BACKLOG / 1000),
]


@dataclass
class Told:
    """What one tenant was answered, and how long each answer took."""

    statuses: Counter[int] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)


class Tenant:
    """Registers and reads with one key."""

    def __init__(self, session: aiohttp.ClientSession, key: Key, name: str) -> None:
        self.session, self.name, self.serial = session, name, 0
        login = base64.b64encode(key.user.encode()).decode()
        self.headers = {"Authorization": f"Basic {login}"}

    async def register(self, told: Told, carrier: str = "slowpost") -> str:
        self.serial += 1
        number = f"{self.name}{self.serial:012d}"
        await self._ask(told, "POST", TRACKING, json=document(number, carrier))
        return number

    async def read(self, told: Told, number: str) -> None:
        await self._ask(told, "GET", f"{TRACKING}/{number}")

    async def _ask(self, told: Told, method: str, path: str, **more: object) -> None:
        started = time.monotonic()
        asking = self.session.request(method, path, headers=self.headers, **more)  # type: ignore[arg-type]
        async with asking as got:
            await got.read()
        told.took.append(time.monotonic() - started)
        told.statuses[got.status] += 1

    async def steadily(self, seconds: float) -> Told:
        """Five requests a second, a registration and a read in turn."""
        told, end = Told(), time.monotonic() + seconds
        while time.monotonic() < end:
            number = await self.register(told)
            await asyncio.sleep(0.2)
            await self.read(told, number)
            await asyncio.sleep(0.2)
        return told

    async def flood(self, told: Told, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self.register(told)


async def test_a_flood_hurts_only_its_tenant() -> None:
    async with town(2, CALLS_PER_SECOND) as here:
        base = f"http://127.0.0.1:{here.house.port}"
        limits = ("--reads", "0", "--writes", "60", "--burst", "5")
        await asyncio.to_thread(command, here.house, "account", "limit", "client 0", *limits)
        async with aiohttp.ClientSession(base) as session:
            noisy = [Tenant(session, here.house.keys[0], f"A{n}") for n in range(FLOODS)]
            quiet = Tenant(session, here.house.keys[1], "B")
            await quiet.steadily(1)
            idle = await quiet.steadily(SECONDS)
            first = await Tenant(session, here.house.keys[0], "JVGL7").register(Told(), "dhl")
            connection = await here.house.connect()
            await pile_up(connection, first, BACKLOG)
            await connection.close()
            watched = Tenant(session, here.house.keys[1], "JVGL8")
            numbers = [await watched.register(Told(), "dhl") for _ in range(QUIET_PARCELS)]
            since, noise, stop = time.time(), Told(), asyncio.Event()
            floods = [asyncio.create_task(one.flood(noise, stop)) for one in noisy]
            try:
                busy = await quiet.steadily(SECONDS)
                before_all = await questions_before(here, numbers, since)
                # The planted fault: B goes by A's key, and is no tenant of its own any more.
                impostor = await Tenant(session, here.house.keys[0], "C").steadily(3)
            finally:
                stop.set()
                await asyncio.gather(*floods)
    figures = {
        "backlog": BACKLOG,
        "idle_ms": milliseconds(idle.took),
        "busy_ms": milliseconds(busy.took),
        "noise": dict(noise.statuses),
        "quiet": dict(busy.statuses),
        "impostor": dict(impostor.statuses),
        "questions_before_all_of_b": before_all,
    }
    keep("P6", **figures)
    assert unfair(idle, busy) == [], figures
    assert before_all is not None, "B's parcels were not asked about"
    assert before_all < BACKLOG / 2, figures
    assert noise.statuses[429] > 0, figures
    assert noise.statuses[200] > 0, figures
    assert unfair(idle, impostor) != [], figures


def unfair(idle: Told, busy: Told) -> list[str]:
    """How the one who did nothing was hurt."""
    wrong = [f"{status}: {count}" for status, count in busy.statuses.items() if status != 200]
    if statistics.median(busy.took) > RATIO * statistics.median(idle.took):
        wrong.append("slower than it may be")
    return wrong


def milliseconds(took: Sequence[float]) -> dict[str, float]:
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return {"p50": round(1000 * statistics.median(ordered), 1), "p99": round(1000 * p99, 1)}


async def questions_before(here: Town, numbers: Sequence[str], since: float) -> int | None:
    """How much was asked about others until each of ``numbers`` was; None: that never was."""
    for _ in range(900):
        told = asked(here.load.carrier.ledger.path, since)
        missing, others = set(numbers), 0
        for _, number in told:
            if number in numbers:
                missing.discard(number)
            elif missing:
                others += 1
        if not missing:
            return others
        await asyncio.sleep(0.2)
    return None


def test_the_judge_sees_what_it_is_for() -> None:
    idle = Told(Counter({200: 3}), [0.01, 0.01, 0.01])
    assert unfair(idle, idle) == []
    assert unfair(idle, Told(Counter({200: 3}), [1.0, 1.0, 0.01])) != []
    assert unfair(idle, Told(Counter({200: 3, 429: 1}), [0.01])) != []
