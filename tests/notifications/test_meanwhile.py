"""What happens while something is under way: an answer counts for what it was the answer to."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import pytest
from tests.conftest import execute
from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL, deliverer, drain, states
from tests.notifications.test_mishaps import FINISH, lane_of, taken
from tests.notifications.town import Town

from milepost.db.pool import Pool, tenant
from milepost.egress.outcomes import Answered
from milepost.notifications.deliver import Deliverer
from milepost.notifications.forms import Form, Kind
from milepost.notifications.held import Connected, Delivery, Lane, Send, Sent
from milepost.notifications.replay import replay
from milepost.notifications.terms import Terms
from milepost.notifications.turn import AT_ONCE, LOOK_AGAIN_SECONDS, READY
from milepost.notifications.verdict import judge
from milepost.parcels.erase import erase

OLD, NEW = "http://127.0.0.1:9/old", "http://127.0.0.1:9/new"
ONCE = Terms(event_pauses=())
ATTEMPTS = "SELECT count(*) FROM delivery_attempt WHERE account_id = $1"


@dataclass
class Held:
    """A subscriber that holds its answers back until it is told which; ``urls`` were called."""

    urls: list[str] = field(default_factory=list)
    answer: asyncio.Future[int] = field(default_factory=asyncio.Future)

    def to(self, connected: Connected) -> Send:
        async def send(delivery: Delivery) -> Sent:
            now = datetime.now(UTC)
            self.urls.append(connected.url)
            status = await self.answer
            return Sent(judge(Answered(status), now), now, 1, status)

        return send


@pytest.fixture
async def connection(town: Town) -> int:
    return await town.connect("webhook", Form.EVENT, ALL, url=OLD)


async def sent(town: Town, connection: int, held: Held, parcels: int = 1) -> "asyncio.Task[int]":
    """A worker whose first deliveries are under way."""
    for _ in range(parcels):
        await town.register()
    await town.tell()
    worker = Deliverer(town.pool, {Kind.WEBHOOK: held}, ONCE)
    working = asyncio.create_task(worker.work(Lane(town.account, connection)))
    while not held.urls:
        await asyncio.sleep(0.01)
    return working


async def move(town: Town, connection: int) -> None:
    await town.run(
        "UPDATE connection SET url = $3 WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        *(connection, NEW),
    )


async def test_the_410_of_an_address_that_is_no_more_ends_nothing(
    town: Town, connection: int
) -> None:
    held = Held()
    working = await sent(town, connection, held)
    await move(town, connection)
    held.answer.set_result(410)
    assert await working == 1
    lane = await lane_of(town, connection)
    assert (lane["state"], lane["failures"], lane["rests_until"]) == ("open", 0, None)
    assert await states(town, connection) == [("pending", 0)]
    assert await town.run(ATTEMPTS) == 1, "it was sent, and is in the log"
    await drain(town, deliverer(town, Subscriber()))
    assert await states(town, connection) == [("delivered", 1)]


async def test_a_turn_ends_when_its_address_is_another(town: Town, connection: int) -> None:
    held = Held()
    working = await sent(town, connection, held, READY + 8)
    await move(town, connection)
    held.answer.set_result(200)
    assert await working <= READY, "what was fetched with the old address"
    assert set(held.urls) == {OLD}
    await drain(town, Deliverer(town.pool, {Kind.WEBHOOK: held}, ONCE))
    assert held.urls.count(NEW) >= 8
    assert set(await states(town, connection)) == {("delivered", 1)}


async def test_a_replay_beside_the_last_attempt_is_not_lost(town: Town, connection: int) -> None:
    held = Held()
    working = await sent(town, connection, held)
    delivery = await town.run("SELECT delivery_id FROM delivery WHERE account_id = $1")
    await replay(town.pool, town.account, delivery, "test")
    last, held.answer = held.answer, asyncio.Future()
    held.answer.set_result(200)
    last.set_result(500)
    await working
    await drain(town, deliverer(town, Subscriber()))
    assert await states(town, connection) == [("delivered", 1)]
    assert await town.run(ATTEMPTS) == 2


async def test_what_came_is_written_though_the_database_goes_away(
    town: Town, connection: int, dsn: str
) -> None:
    held = Held()
    working = await sent(town, connection, held)
    other = await asyncpg.connect(dsn)
    async with other.transaction():
        await other.execute("SELECT FROM delivery_lane FOR UPDATE")
        held.answer.set_result(200)
        waits = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not await other.fetchval(waits):
            await asyncio.sleep(0.01)
    await other.close()
    assert await working == 1
    assert held.urls == [OLD]
    assert await states(town, connection) == [("delivered", 1)]


async def test_what_was_written_is_not_counted_twice(town: Town, connection: int) -> None:
    """The answer to a COMMIT may be lost: then the statement comes again."""
    await town.register()
    await town.tell()
    async with tenant(town.pool, town.account) as conn:
        fence = await taken(conn, town, connection)
        again = FINISH.removesuffix("false) AS f") + "true) AS f"
        for statement in (FINISH, again):
            await conn.fetch(statement, town.account, connection, fence, 0.0, False)
    assert await states(town, connection) == [("pending", 1)]
    assert await town.run(ATTEMPTS) == 1


async def test_what_is_erased_while_others_are_under_way_is_not_sent(
    town: Town, connection: int, app_pool: Pool
) -> None:
    held = Held()
    working = await sent(town, connection, held, AT_ONCE + 1)
    last = await town.run(
        "SELECT parcel_id FROM delivery WHERE account_id = $1 ORDER BY delivery_id DESC LIMIT 1"
    )
    await erase(app_pool, town.account, last, "cli")
    await asyncio.sleep(LOOK_AGAIN_SECONDS)
    held.answer.set_result(200)
    assert await working == AT_ONCE
    assert await town.run(ATTEMPTS) == AT_ONCE


async def test_a_lane_that_was_let_go_unheard_is_held_again(town: Town, connection: int) -> None:
    """The answer was lost; by the repeat there is more to send, and nobody else may take it."""
    await town.register()
    await town.tell()
    async with tenant(town.pool, town.account) as conn:
        fence = await taken(conn, town, connection)
        await conn.execute("SELECT leave_lane($1, $2, $3)", town.account, connection, fence)
        again = FINISH.removesuffix("false) AS f") + "true) AS f"
        await conn.fetch(again, town.account, connection, fence, 0.0, False)
    assert (await lane_of(town, connection))["lease_until"] is not None


async def test_a_plan_made_when_nothing_waited_reads_no_more_than_it_names(
    town: Town, connection: int, dsn: str
) -> None:
    await town.register()
    await town.tell()
    first = await town.run("SELECT delivery_id FROM delivery WHERE account_id = $1")
    more = (
        "INSERT INTO delivery (account_id, connection_id, message_id, parcel_id, state, due_at)"
        " SELECT account_id, connection_id, message_id, parcel_id + n, '{}', now()"
        " FROM delivery CROSS JOIN generate_series(1, 2000) AS n WHERE delivery_id = {}"
    )
    await execute(dsn, more.format("delivered", first), "VACUUM ANALYZE delivery")
    finish = f"WITH due AS (SELECT ARRAY[{first}]::bigint[] AS ids)"
    finish += FINISH[FINISH.index(" SELECT f.*") :]
    read = (
        "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index"
        " WHERE indrelid = 'delivery'::regclass"
    )
    async with tenant(town.pool, town.account) as conn:
        fence = await taken(conn, town, connection)
        await conn.fetch(finish, town.account, connection, fence, 0.0, False)
        await execute(dsn, more.format("pending", first))
        before = await conn.fetchval(read)
        await conn.fetch(finish, town.account, connection, fence, 0.0, False)
        assert await conn.fetchval(read) - before < 50
