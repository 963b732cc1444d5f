"""What happens while something is under way: an answer counts for what it was the answer to."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import pytest
from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL, deliverer, drain, states
from tests.notifications.test_mishaps import FINISH, lane_of, taken
from tests.notifications.town import Town

from milepost.db.pool import tenant
from milepost.egress.outcomes import Answered
from milepost.notifications.deliver import Deliverer
from milepost.notifications.forms import Form, Kind
from milepost.notifications.held import Connected, Delivery, Lane, Send, Sent
from milepost.notifications.replay import replay
from milepost.notifications.terms import Terms
from milepost.notifications.turn import READY
from milepost.notifications.verdict import judge

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
