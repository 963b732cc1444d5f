"""What goes wrong between two statements: nothing waits for ever, is sent for ever, or stays."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL, deliverer, drain, states
from tests.notifications.town import Town, scan

from milepost.db.pool import Connection, Pool, tenant
from milepost.egress.outcomes import Answered
from milepost.errors import DatabaseUnavailable
from milepost.notifications import hold
from milepost.notifications.deliver import Deliverer
from milepost.notifications.forget import forget
from milepost.notifications.forms import Form, Kind
from milepost.notifications.held import Connected, Delivery, Lane, Send, Sent
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.notifications.verdict import judge
from milepost.parcels.erase import erase

FINISH = (
    "WITH due AS (SELECT array_agg(delivery_id) AS ids FROM delivery"
    "  WHERE account_id = $1 AND connection_id = $2 AND due_at < 'infinity')"
    " SELECT f.* FROM due, sending_revision($1, $2) AS revision, finish_deliveries($1, $2, $3,"
    " revision, due.ids, ARRAY[NULL]::timestamptz[], ARRAY['pending'], ARRAY[60.0], ARRAY[1],"
    " ARRAY[now()], ARRAY[5], ARRAY['refused'], ARRAY[500], ARRAY[''], ARRAY['{}']::jsonb[],"
    " ARRAY['who lives there']::bytea[], 1, false, $4, '', $5, interval '200 ms', '{}', 0, false,"
    " false) AS f"
)


async def taken(conn: Connection, town: Town, connection: int, seconds: float = 60) -> int:
    """A lane in somebody's hand; its fence."""
    lease = timedelta(seconds=seconds)
    fence: int = await conn.fetchval(
        "SELECT fence FROM take_lane($1, $2, $3, 0)", town.account, connection, lease
    )
    return fence


async def lane_of(town: Town, connection: int) -> asyncpg.Record:
    async with tenant(town.pool, town.account) as conn:
        lane = await conn.fetchrow(
            "SELECT *, failing_since > now() - interval '1 hour' AS fails_anew FROM delivery_lane"
            " WHERE account_id = $1 AND connection_id = $2",
            *(town.account, connection),
        )
    assert lane is not None
    return lane


@pytest.fixture
async def connection(town: Town) -> int:
    return await town.connect("webhook", Form.EVENT, ALL)


async def test_what_is_noted_while_a_parcel_is_erased_does_not_stay(
    town: Town, connection: int, app_pool: Pool, dsn: str
) -> None:
    parcel = await town.register()
    await town.tell()
    other = await asyncpg.connect(dsn)
    async with tenant(town.pool, town.account) as conn:
        fence = await taken(conn, town, connection)
        await conn.fetch(FINISH, town.account, connection, fence, 0.0, False)
        erasing = asyncio.create_task(erase(app_pool, town.account, parcel, "cli"))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'"
        while not await other.fetchval(waits):
            await asyncio.sleep(0.01)
    await other.close()
    await erasing
    kept = "SELECT count(*) FROM delivery_attempt WHERE account_id = $1"
    assert await town.run(kept) == 0


async def test_what_waits_behind_something_past_its_time_is_delivered(
    town: Town, connection: int
) -> None:
    parcel = await town.register()
    await town.tell()
    await town.observe(parcel, scan(5, "accepted"))
    await town.tell()
    await town.run(
        "UPDATE message SET created_at = now() - interval '99 days'"
        " WHERE account_id = $1 AND sequence = 1 RETURNING 1"
    )
    await town.run(
        "UPDATE feed_event SET recorded_at = now() - interval '99 days'"
        " WHERE account_id = $1 AND sequence = 1 RETURNING 1"
    )
    assert await forget(town.pool, town.account, datetime.now(UTC) - timedelta(days=30), 100)
    subscriber = Subscriber()
    await drain(town, deliverer(town, subscriber))
    assert subscriber.of(parcel) == [2]


async def test_a_lane_that_rests_has_no_turn_though_its_worker_died(
    town: Town, connection: int
) -> None:
    await town.register()
    await town.tell()
    async with tenant(town.pool, town.account) as conn:
        fence = await taken(conn, town, connection, 0.2)
        await conn.fetch(FINISH, town.account, connection, fence, 300.0, False)
    await asyncio.sleep(0.3)
    assert await deliverer(town, Subscriber()).due(10) == []


async def test_it_is_noted_once_that_a_connection_was_given_up(town: Town, connection: int) -> None:
    await town.register()
    await town.tell()
    async with tenant(town.pool, town.account) as conn:
        fence = await taken(conn, town, connection)
        for _ in range(2):
            await conn.fetch(FINISH, town.account, connection, fence, 0.0, True)
    noted = "SELECT count(*) FROM audit WHERE account_id = $1 AND action = 'connection.disabled'"
    assert await town.run(noted) == 1
    assert (await lane_of(town, connection))["state"] == "disabled"


@dataclass
class Gated:
    """A subscriber that answers each parcel when it is let to, and with what it is told to."""

    answers: dict[int, asyncio.Future[int]] = field(default_factory=dict)

    def to(self, connected: Connected) -> Send:
        async def send(delivery: Delivery) -> Sent:
            now = datetime.now(UTC)
            status = await self.answers[delivery.parcel_id]
            return Sent(judge(Answered(status), now), now, 1, status)

        return send


async def test_a_success_counts_whatever_came_before_it_was_written(
    town: Town, connection: int, dsn: str
) -> None:
    """Else a subscriber that takes one in two would be given up as one that takes none."""
    await town.run(
        "UPDATE delivery_lane SET failures = 1, failing_since = now() - interval '4 days'"
        " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        connection,
    )
    parcels = [await town.register() for _ in range(3)]
    await town.tell()
    gated = Gated({one: asyncio.get_running_loop().create_future() for one in parcels})
    worker = Deliverer(town.pool, {Kind.WEBHOOK: gated}, Terms(patience=Rules(failures=1000)))
    working = asyncio.create_task(worker.work(Lane(town.account, connection)))
    other = await asyncpg.connect(dsn)
    async with other.transaction():
        while (await lane_of(town, connection))["fence"] == 0:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await other.execute("SELECT FROM delivery_lane FOR UPDATE")
        for parcel, status in zip(parcels, (500, 200, 500), strict=True):
            gated.answers[parcel].set_result(status)
            # What came is learnt one by one, while the first is being written.
            await asyncio.sleep(0.1)
    await other.close()
    await working
    lane = await lane_of(town, connection)
    assert lane["last_success_at"] is not None
    assert lane["fails_anew"]


async def test_what_was_sent_and_cannot_be_written_is_not_sent_at_once_again(
    town: Town, connection: int, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The time for repeating it is over at the third go, and the lease is not.
    monkeypatch.setattr(hold, "monotonic", itertools.count(0, hold.AWAY_SECONDS / 3).__next__)
    await town.register()
    await town.tell()
    other = await asyncpg.connect(dsn)
    await other.execute(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT ON delivery_attempt"
        " FOR EACH ROW EXECUTE FUNCTION full_disk()"
    )
    subscriber = Subscriber()
    worker = deliverer(town, subscriber, Terms(lease=timedelta(hours=2)))
    with pytest.raises(DatabaseUnavailable):
        await drain(town, worker)
    assert await worker.due(10) == [], "its lease has to be over first"
    await other.execute("DROP TRIGGER full_disk ON delivery_attempt")
    await other.execute("UPDATE delivery_lane SET lease_until = now(), turn_at = now()")
    await other.close()
    await drain(town, worker)
    assert len(subscriber.told) == 2
    assert await states(town, connection) == [("delivered", 1)]


async def test_what_was_sent_is_written_though_the_database_was_away_for_longer_than_the_lease(
    town: Town, connection: int, dsn: str
) -> None:
    await town.register()
    await town.tell()
    other = await asyncpg.connect(dsn)
    # Numbers of a sequence are gone for good, the transaction may fail: so it is away four times.
    await other.execute(
        "CREATE SEQUENCE asked; GRANT USAGE ON SEQUENCE asked TO PUBLIC;"
        "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('asked') < 5 THEN"
        " RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER away BEFORE INSERT ON delivery_attempt"
        " FOR EACH ROW EXECUTE FUNCTION away()"
    )
    subscriber = Subscriber()
    await drain(town, deliverer(town, subscriber, Terms(lease=timedelta(seconds=1))))
    assert await other.fetchval("SELECT last_value FROM asked") >= 5, "it was away"
    await other.close()
    assert len(subscriber.told) == 1
    assert await states(town, connection) == [("delivered", 1)]
