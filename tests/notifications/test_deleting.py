"""A connection that is deleted at the very moment when somebody is at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import asyncpg
import pytest
from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL, deliverer, drain
from tests.notifications.town import Town

from milepost.db.pool import Pool, open_pool, retrying
from milepost.notifications import connections
from milepost.notifications.forms import Form
from milepost.notifications.held import Lane
from milepost.settings import Settings

OF_CONNECTION = ("subscription", "delivery", "delivery_attempt", "delivery_lane", "connection")
PATIENCE = 60.0


@pytest.fixture
async def worker_pool(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """Who waits for a lock here waits until the test lets it go, however busy the machine is."""
    monkeypatch.setattr(connections, "retrying", partial(retrying, seconds=None))
    settings = Settings(lock_seconds=PATIENCE, statement_seconds_jobs=PATIENCE)
    async with await open_pool(dsn, "milepost_worker", settings) as pool:
        yield pool


@pytest.fixture
async def other(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def gone(town: Town) -> int:
    """The connection that will be deleted; beside it another stays."""
    await town.connect("webhook", Form.EVENT, ALL)
    return await town.connect("webhook", Form.EVENT, ALL)


@asynccontextmanager
async def holding(
    other: "asyncpg.Connection[asyncpg.Record]", rows: str, connection: int
) -> AsyncIterator[None]:
    """Whoever needs these rows of the connection stops there until the end of the block."""
    async with other.transaction():
        await other.execute(f"SELECT FROM {rows} WHERE connection_id = $1 FOR UPDATE", connection)
        yield


Waiting = Callable[[int], Awaitable[None]]


@pytest.fixture
async def waiting(dsn: str) -> AsyncIterator[Waiting]:
    """Waits until so many wait for somebody's lock."""
    # Who looks at sessions in a transaction sees them as they were at its beginning.
    looking = await asyncpg.connect(dsn)

    async def until(count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while count > await looking.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.01)

    yield until
    await looking.close()


async def left(town: Town, connection: int) -> dict[str, int]:
    """What there is of a connection still."""
    counted = "SELECT count(*) FROM {} WHERE account_id = $1 AND connection_id = $2"
    return {one: await town.run(counted.format(one), connection) for one in OF_CONNECTION}


NOTHING = dict.fromkeys(OF_CONNECTION, 0)


def delete(town: Town, connection: int) -> asyncio.Task[None]:
    return asyncio.create_task(connections.delete(town.pool, town.account, connection, "key:7"))


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
async def test_what_comes_back_of_a_deleted_connection_is_written_nowhere(
    town: Town, gone: int, other: "asyncpg.Connection[asyncpg.Record]", waiting: Waiting, when: str
) -> None:
    """Its answer comes before the deletion begins, while it is under way, or after it."""
    for _ in range(2):
        await town.register()
    await town.tell()
    subscriber = Subscriber(gate=asyncio.Event())
    working = asyncio.create_task(deliverer(town, subscriber).work(Lane(town.account, gone)))
    async with asyncio.timeout(PATIENCE):
        while subscriber.under_way < 2:
            await asyncio.sleep(0.01)
    if when == "before":
        async with holding(other, "delivery_lane", gone):
            subscriber.gate.set()
            await waiting(1)
            deleting = delete(town, gone)
            await waiting(2)
        await deleting
    elif when == "meanwhile":
        async with holding(other, "subscription", gone):
            deleting = delete(town, gone)
            await waiting(1)
            subscriber.gate.set()
            await waiting(2)
        await deleting
    else:
        await delete(town, gone)
        subscriber.gate.set()
    assert await working == 2
    assert await left(town, gone) == NOTHING
    others = Subscriber()
    await drain(town, deliverer(town, others))
    assert len(others.told) == 2


async def test_a_deletion_waits_for_the_fan_out_that_writes_deliveries(
    town: Town, gone: int, other: "asyncpg.Connection[asyncpg.Record]", waiting: Waiting
) -> None:
    await town.register()
    async with holding(other, "delivery_lane", gone):
        telling = asyncio.create_task(town.tell())
        await waiting(1)
        deleting = delete(town, gone)
        await waiting(2)
    assert await telling == 1
    await deleting
    assert await left(town, gone) == NOTHING
    assert len(await town.feed()) == 1


async def test_nothing_is_told_while_a_connection_is_being_deleted(
    town: Town, gone: int, other: "asyncpg.Connection[asyncpg.Record]", waiting: Waiting
) -> None:
    # The first fan-out of an account would wait instead: its feed has no head yet to look at.
    await town.register()
    await town.tell()
    await town.register()
    async with holding(other, "subscription", gone):
        deleting = delete(town, gone)
        await waiting(1)
        assert await town.fan_out.tell(town.account) == 0
    await deleting
    assert await town.tell() == 1
    assert await left(town, gone) == NOTHING
    assert len(await town.feed()) == 2


async def test_who_looked_before_the_deletion_finds_no_lane(town: Town, gone: int) -> None:
    await town.register()
    await town.tell()
    subscriber = Subscriber()
    worker = deliverer(town, subscriber)
    lanes = await worker.due(10)
    assert Lane(town.account, gone) in lanes
    await delete(town, gone)
    for lane in lanes:
        await worker.work(lane)
    assert len(subscriber.told) == 1
    assert await left(town, gone) == NOTHING
