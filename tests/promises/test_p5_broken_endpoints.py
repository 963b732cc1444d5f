"""P5: an endpoint that is broken hurts only itself.

Half of ``P5_ENDPOINTS`` (24) are broken. Where they hang they do so for longer than the test, and
the others have all they are to be told meanwhile. From 100 endpoints on times and memory count too.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from time import monotonic, process_time

import psutil
import pytest
from tests.notifications.town import Town
from tests.promises.alarms import alarms_of
from tests.promises.figures import keep
from tests.promises.telling import Telling, open_town, telling
from tests.promises.test_p6_noisy_tenant import milliseconds
from tests.promises.zoo import EVER, FAILING, HANGING, Zoo, zoo

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.egress import client as egress_client
from milepost.egress.client import Bounds
from milepost.errors import DatabaseUnavailable
from milepost.notifications.forms import Form
from milepost.notifications.health import pause
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.notifications.turn import AT_ONCE
from milepost.tracking.parcel import told_event_id
from milepost.worker import notifying

ENDPOINTS = int(os.environ.get("P5_ENDPOINTS", "24"))
PARCELS = int(os.environ.get("P5_PARCELS", "4"))
LONG = ENDPOINTS >= 100
PATIENCE = 60.0
EVERY = 1.0 if LONG else 0.0
"""Seconds between two parcels that are compared with a quiet run."""
ROUNDS = 5
MOST_SECONDS, MOST_MEGABYTES = 2.0, 300
"""What the slowest hundredth of the deliveries may take, and what the process may need."""
ALARM, OFF_SECONDS = "MilepostSubscribersFailing", 60.0
IN_VAIN = 1.5
"""Seconds for which the twins are given the chance to be no twins: what they wait for is later."""
SOON = Terms(
    event_pauses=(0.1,) * 50,
    patience=Rules(failures=5, rest=0.5, longest_rest=1.0),
    lease=timedelta(seconds=10),
)
pytestmark = [pytest.mark.promise, pytest.mark.timeout(480 + 2 * PATIENCE)]


@pytest.fixture
def town(worker_pool: Pool, catalogue: Catalogue, account: int) -> Town:
    return open_town(worker_pool, catalogue, account)


Tell = Callable[[Terms, Bounds], AbstractAsyncContextManager[Telling]]


@pytest.fixture
def tell(dsn: str, catalogue: Catalogue) -> Tell:
    return lambda terms, bounds: telling(dsn, catalogue, terms, bounds)


async def connect(town: Town, endpoints: Zoo) -> dict[str, int]:
    """The broken ones first, so that their turn comes first."""
    urls = endpoints.broken | endpoints.healthy
    return {
        name: await town.connect("webhook", Form.EVENT, {}, url=url) for name, url in urls.items()
    }


async def register(town: Town, pause: float = 0) -> dict[str, float]:
    """When each parcel's first event was recorded, by its id."""
    found: dict[str, float] = {}
    while len(found) < PARCELS:
        at = monotonic()
        # The machine may be too busy for a registration in time; then it is not counted.
        with suppress(DatabaseUnavailable):
            found[told_event_id(await town.register(), 1)] = at
        await asyncio.sleep(pause)
    return found


async def attempts(town: Town) -> list[tuple[str, int, int]]:
    """(endpoint, milliseconds, bytes of the answer that were kept) of what is noted."""
    return await town.rows(
        "SELECT c.url, a.milliseconds, length(a.answer) FROM delivery_attempt a"
        " JOIN connection c ON c.account_id = a.account_id AND c.connection_id = a.connection_id"
        " WHERE a.account_id = $1"
    )


async def delivered(town: Town) -> list[tuple[int]]:
    """Connections to which something was delivered."""
    return await town.rows(
        "SELECT DISTINCT connection_id FROM delivery WHERE account_id = $1 AND state = 'delivered'"
    )


@asynccontextmanager
async def stalls() -> AsyncIterator[list[float]]:
    """How late this process was, in ms, each time it wanted to go on: for want of a processor."""
    late: list[float] = [0]

    async def watch() -> None:
        while True:
            began = monotonic()
            await asyncio.sleep(0.05)
            late.append(1000 * (monotonic() - began - 0.05))

    watching = asyncio.create_task(watch())
    try:
        yield late
    finally:
        watching.cancel()


async def test_who_hangs_holds_up_nobody(town: Town, tell: Tell) -> None:
    half = ENDPOINTS // 2
    bounds = Bounds(total_seconds=EVER)
    async with tell(SOON, bounds) as worker, zoo(half, HANGING, half) as endpoints:
        await connect(town, endpoints)
        await town.register()
        hung = await endpoints.hung(half)
        missing = await endpoints.missing(await register(town), PATIENCE)
        worker.stop.set()
    keep("P5 hanging", endpoints=ENDPOINTS, hung=hung, parcels=PARCELS, missing=missing)
    assert missing == 0
    assert hung == half, "they were tried as well, and still are"


@pytest.mark.parametrize("planted", ["few lanes at once", "one queue for all"])
async def test_it_sees_who_waits_for_another(
    town: Town, tell: Tell, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if planted == "few lanes at once":
        monkeypatch.setattr(notifying, "LANES_AT_ONCE", 4)
    else:
        turn = egress_client._Turns.turn
        monkeypatch.setattr(egress_client._Turns, "turn", lambda self, _: turn(self, "all"))
    bounds = Bounds(total_seconds=EVER)
    async with tell(SOON, bounds) as worker, zoo(4, HANGING, 12) as endpoints:
        await connect(town, endpoints)
        await town.register()
        assert await endpoints.hung(4) == 4
        missing = await endpoints.missing(await register(town), IN_VAIN)
        worker.stop.set()
    assert missing == 4 * PARCELS


async def test_what_is_broken_is_cut_and_left_alone(town: Town, tell: Tell) -> None:
    """One of each kind, in time: cut, counted, kept short, never taken for a delivery."""
    kinds = {**HANGING, **FAILING}
    bounds = Bounds(total_seconds=1, connect_seconds=0.5)
    async with (
        tell(SOON, bounds) as worker,
        zoo(1, kinds, len(kinds)) as endpoints,
        stalls() as late,
    ):
        lanes = await connect(town, endpoints)
        await register(town)
        end = monotonic() + PATIENCE
        while monotonic() < end:
            await asyncio.sleep(0.05)
            tried = {url for url, *_ in await attempts(town)}
            if tried >= {*endpoints.broken.values()} and await delivered(town):
                break
        worker.stop.set()
        await endpoints.look()
        # Where no kernel says so, who never reads does not see that the other side has left.
        sockets = {
            name: most for name, most in endpoints.most_open.items() if "never reads" not in name
        }
    noted = await attempts(town)
    urls = {url: name for name, url in endpoints.broken.items()}
    assert {urls.get(url) for url, *_ in noted} >= {*endpoints.broken}
    assert await delivered(town) == [(lanes["takes 0"],)]
    assert max(sockets.values()) <= AT_ONCE, sockets
    assert max(kept for _, _, kept in noted) <= 2000
    longest = max(took for _, took, _ in noted)
    told = {"longest_ms": longest, "stalled_ms": round(max(late))}
    keep("P5 cut", kinds=len(kinds), attempts=len(noted), sockets=sockets, **told)
    # What ends an attempt takes some rounds of a loop, each of which may be as late as that.
    assert longest < 1000 * bounds.total_seconds + 500 + ROUNDS * max(late), told


async def test_the_others_are_told_as_soon_as_without_them(
    town: Town, tell: Tell, dsn: str
) -> None:
    half, before_cpu = ENDPOINTS // 2, process_time()
    async with tell(Terms(), Bounds()) as worker, stalls() as late:
        async with zoo(half, {}, 0) as endpoints:
            await connect(town, endpoints)
            quiet = await waited(town, endpoints)
            await town.run("UPDATE subscription SET is_active = false WHERE account_id = $1")
        async with zoo(half, {**HANGING, **FAILING}, half) as endpoints:
            lanes = await connect(town, endpoints)
            async with alarms_of(dsn, judged=LONG) as alarms:
                beside = await waited(town, endpoints)
                if alarms:
                    await alarms.goes_on(ALARM)
                    for name in endpoints.broken:
                        await pause(town.pool, town.account, lanes[name], "their account")
                    await alarms.goes_off(ALARM, OFF_SECONDS)
            worker.stop.set()
    noted = [took for _, took, _ in await attempts(town)]
    before, after = milliseconds(quiet), milliseconds(beside)
    longest = max(noted, default=0)
    megabytes = round(psutil.Process().memory_info().rss / 2**20)
    figures: dict[str, object] = {
        "endpoints": ENDPOINTS,
        "deliveries": len(beside),
        "quiet_ms": before,
        "beside_ms": after,
        "longest_attempt_ms": longest,
        "stalled_ms": round(max(late)),
        "cpu_seconds": round(process_time() - before_cpu, 1),
        "megabytes": megabytes,
        "alarms_on_after": alarms.ever_on if alarms else {},
    }
    keep("P5", **figures)
    assert len(beside) == half * PARCELS, figures
    if LONG:
        assert after["p99"] <= 1000 * MOST_SECONDS, figures
        assert after["p99"] <= 2 * before["p99"], figures
        assert megabytes <= MOST_MEGABYTES, figures
        assert longest <= 15_500 + ROUNDS * max(late), figures


async def waited(town: Town, endpoints: Zoo) -> list[float]:
    """Seconds from a registration to each of the deliveries that arrived of it."""
    since = await register(town, EVERY)
    await endpoints.missing(since, PATIENCE)
    arrived = endpoints.arrived.items()
    return [at - since[event] for (_, event), at in arrived if event in since]
