"""Who has a turn when there is something to tell: everybody, whoever else has much or fails."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from tests.conftest import execute
from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL
from tests.notifications.town import Town
from tests.promises.telling import open_town

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.notifications import fan_out
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Form, Kind
from milepost.notifications.terms import Terms
from milepost.worker import notifying

PATIENCE = 60.0
MUCH = 20
"""Rows of an outbox; one is taken in a turn."""


@dataclass
class Noted(FanOut):
    """Notes whose turn it was; that of ``kept`` lasts until the gate is open."""

    of: FanOut
    kept: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    turns: list[int] = field(default_factory=list)

    async def waiting(self, after: int, most: int) -> list[int]:
        return await self.of.waiting(after, most)

    async def tell(self, account_id: int) -> int:
        self.turns.append(account_id)
        if account_id == self.kept:
            await self.gate.wait()
        return await self.of.tell(account_id)


@pytest.fixture
async def towns(
    dsn: str, worker_pool: Pool, admin_pool: Pool, catalogue: Catalogue
) -> Callable[[int], Awaitable[list[Town]]]:
    """So many accounts; each has told of one parcel."""

    async def make(count: int) -> list[Town]:
        made = []
        for nth in range(count):
            account = await admin_pool.fetchval(
                "INSERT INTO account (name) VALUES ($1) RETURNING account_id", f"shop {nth}"
            )
            town = open_town(worker_pool, catalogue, account)
            await town.register()
            await town.tell()
            made.append(town)
        return made

    return make


async def happens(town: Town, times: int = MUCH) -> None:
    """The first event of the account's parcel is to be told so often once more."""
    await town.run(
        "INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)"
        " SELECT $1, parcel_id, 1, 'event', now() + nth * interval '1 s'"
        " FROM parcel, generate_series(1, $2::int) AS nth WHERE account_id = $1",
        times,
    )


async def untold(town: Town) -> int:
    return int(await town.run("SELECT count(*) FROM outbox WHERE account_id = $1"))


async def all_told(*towns: Town) -> None:
    async with asyncio.timeout(PATIENCE):
        while sum([await untold(town) for town in towns]):
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def survived(what: str) -> Iterator[None]:
    with contextlib.suppress(Exception):
        yield


@asynccontextmanager
async def telling(
    pool: Pool, told: FanOut, subscriber: Subscriber | None = None
) -> AsyncIterator[None]:
    """A worker's loops."""
    stop = asyncio.Event()
    # Who loses its connection in the middle leaves a lane behind until its lease ends.
    terms = Terms(lease=timedelta(seconds=1))
    deliverer = Deliverer(pool, {Kind.WEBHOOK: subscriber or Subscriber()}, terms)
    loop = asyncio.create_task(notifying.tell(pool, told, deliverer, stop, survived))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await loop


@pytest.fixture(autouse=True)
def one_row_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "AT_ONCE", 1)


async def test_accounts_that_have_much_to_tell_take_nobodys_turn(
    towns: Callable[[int], Awaitable[list[Town]]], worker_pool: Pool
) -> None:
    *many, last = await towns(notifying.ACCOUNTS_AT_ONCE + 3)
    for town in many:
        await happens(town)
    await happens(last, 1)
    noted = Noted(last.fan_out)
    async with telling(worker_pool, noted):
        await all_told(last)
    before = Counter(noted.turns[: noted.turns.index(last.account)])
    assert max(before.values()) <= 2, before


async def test_an_account_whose_turn_lasts_keeps_nobody_waiting(
    towns: Callable[[int], Awaitable[list[Town]]], worker_pool: Pool
) -> None:
    slow, *others = await towns(3)
    for town in (slow, *others):
        await happens(town)
    noted = Noted(slow.fan_out, kept=slow.account)
    async with telling(worker_pool, noted):
        await all_told(*others)
        assert noted.turns.count(slow.account) == 1
        assert await untold(slow) == MUCH
        noted.gate.set()
        await all_told(slow)


@pytest.mark.parametrize("rest", [3600.0, 0.05])
async def test_an_account_that_cannot_be_told_rests_alone_and_is_told_afterwards(
    towns: Callable[[int], Awaitable[list[Town]]],
    worker_pool: Pool,
    dsn: str,
    rest: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifying, "FAULT_SECONDS", rest)
    faulty, other = await towns(2)
    await execute(
        dsn,
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'planted'; END $$;"
        "CREATE TRIGGER fault BEFORE INSERT ON feed_event FOR EACH ROW"
        f" WHEN (NEW.account_id = {faulty.account}) EXECUTE FUNCTION fault()",
    )
    await happens(faulty, 1)
    await happens(other)
    noted = Noted(other.fan_out)
    async with telling(worker_pool, noted):
        await all_told(other)
        if rest > PATIENCE:
            assert noted.turns.count(faulty.account) == 1
        else:
            await execute(dsn, "DROP TRIGGER fault ON feed_event")
            await all_told(faulty)


def test_looks_that_take_long_come_seldomer_and_a_busy_machine_is_no_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(notifying, "monotonic", lambda: now)
    pace = notifying._Pace()
    assert (pace.rest, pace.left) == (0, 0)
    for took in (0.03, 5.0):
        with pace.measured():
            now += took
    assert pace.rest == pytest.approx(0.3)
    assert pace.left == pytest.approx(0.3)
    now += 0.2
    assert pace.left == pytest.approx(0.1)
    for _ in range(notifying.LOOKS_COMPARED):
        with pace.measured():
            now += 5.0
    assert pace.rest == pytest.approx(50.0)


async def test_what_another_process_recorded_is_told_though_the_connection_was_lost(
    towns: Callable[[int], Awaitable[list[Town]]],
    worker_pool: Pool,
    app_pool: Pool,
    catalogue: Catalogue,
    dsn: str,
) -> None:
    (town,) = await towns(1)
    await town.connect("webhook", Form.EVENT, ALL)
    # Who records has connections of his own: those of the worker die at some later moment.
    other = open_town(app_pool, catalogue, town.account)
    subscriber = Subscriber()
    async with telling(worker_pool, town.fan_out, subscriber):
        for _ in range(2):
            await other.register()
            await all_told(other)
            await execute(
                dsn,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'milepost_worker'",
            )
        async with asyncio.timeout(PATIENCE):
            while len({parcel for parcel, *_ in subscriber.told}) < 2:
                await asyncio.sleep(0.02)


async def test_after_the_database_was_away_who_has_a_lane_in_hand_comes_first(
    towns: Callable[[int], Awaitable[list[Town]]],
    worker_pool: Pool,
    app_pool: Pool,
    catalogue: Catalogue,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (town,) = await towns(1)
    await town.connect("webhook", Form.EVENT, ALL)
    other = open_town(app_pool, catalogue, town.account)
    subscriber = Subscriber()
    async with telling(worker_pool, town.fan_out, subscriber):
        await other.register()
        async with asyncio.timeout(PATIENCE):
            while not subscriber.told:
                await asyncio.sleep(0.02)
        monkeypatch.setattr(notifying, "SETTLING_SECONDS", 3600.0)
        await execute(
            dsn,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'milepost_worker'",
        )
        # Until the loop has noticed: only then is it about what comes after.
        await asyncio.sleep(5 * notifying.IDLE_LOOK_SECONDS)
        before = len(subscriber.told)
        await other.register()
        await all_told(other)
        await asyncio.sleep(1.0)
        assert len(subscriber.told) == before, "no lane is taken yet"


async def test_who_failed_last_waits_for_whoever_does_well_and_few_are_begun_at_a_time(
    towns: Callable[[int], Awaitable[list[Town]]],
    worker_pool: Pool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifying, "BEGUN_AT_ONCE", 2)
    monkeypatch.setattr(notifying, "BEGINNING_SECONDS", 3600.0)
    (town,) = await towns(1)
    failed = [await town.connect("integration", Form.CLASSIC) for _ in range(5)]
    well = [await town.connect("webhook", Form.EVENT, ALL) for _ in range(3)]
    await town.run(
        "UPDATE delivery_lane SET failures = 1 WHERE account_id = $1 AND connection_id = ANY ($2)",
        failed,
    )
    await town.register()
    await town.tell()
    hanging, quick = Subscriber(gate=asyncio.Event()), Subscriber()
    senders = {Kind.INTEGRATION: hanging, Kind.WEBHOOK: quick}
    deliverer = Deliverer(worker_pool, senders, Terms(lease=timedelta(seconds=60)))
    due = await deliverer.due(10)
    assert {lane.connection_id for lane in due if not lane.fails} == {*well}
    assert [lane.fails for lane in due] == [False] * 3 + [True] * 5
    assert [lane.fails for lane in await deliverer.due(2, 1)] == [False, False, True]
    stop = asyncio.Event()
    loop = asyncio.create_task(notifying.tell(worker_pool, town.fan_out, deliverer, stop, survived))
    async with asyncio.timeout(PATIENCE):
        while len(quick.told) < len(well) or len(hanging.told) < 2:
            await asyncio.sleep(0.02)
        assert len(hanging.told) == 2
        # Who has been answered makes room for the next.
        hanging.gate.set()
        while len(hanging.told) < len(failed):
            await asyncio.sleep(0.02)
        stop.set()
        await loop
