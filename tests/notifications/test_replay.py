"""Sent again: under the same id, in order for each parcel, whatever is pending meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.notifications.subscriber import Subscriber, broken, ok
from tests.notifications.test_deliver import ALL, deliverer, drain, journeys, states
from tests.notifications.town import Town, scan

from milepost.db.pool import Pool
from milepost.egress.outcomes import Answered, Outcome
from milepost.errors import NotFoundError
from milepost.notifications import health, log
from milepost.notifications import replay as replaying
from milepost.notifications.forms import Form
from milepost.notifications.held import Delivery, Lane
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.parcels.listing import ForeignCursor

ACTOR = "key:7"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


async def ids(town: Town, connection: int) -> list[int]:
    rows = await town.rows(
        "SELECT delivery_id FROM delivery WHERE account_id = $1 AND connection_id = $2"
        " ORDER BY delivery_id",
        connection,
    )
    return [one for (one,) in rows]


async def times(town: Town, connection: int) -> list[bool]:
    """Of the pending ones, whether they have a time."""
    rows = await town.rows(
        "SELECT due_at < 'infinity' FROM delivery WHERE account_id = $1 AND connection_id = $2"
        " AND state = 'pending' ORDER BY delivery_id",
        connection,
    )
    return [one for (one,) in rows]


async def audited(town: Town) -> list[tuple[str, str]]:
    return await town.rows(
        "SELECT actor, action FROM audit WHERE account_id = $1 AND action ~ '[.]' ORDER BY audit_id"
    )


async def test_one_is_sent_again_under_its_id(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcel = await town.register()
    await town.tell()
    seen: list[tuple[str, bytes]] = []

    def answer(delivery: Delivery) -> Outcome:
        seen.append((delivery.event_id, delivery.body))
        return Answered(200)

    worker = deliverer(town, Subscriber(answer))
    await drain(town, worker)
    (only,) = await ids(town, connection)
    await replaying.replay(town.pool, town.account, only, ACTOR)
    assert await states(town, connection) == [("pending", 0)]
    await drain(town, worker)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    logged, _, attempts = await log.one(town.pool, town.account, only)
    assert (logged.parcel_id, logged.state, logged.attempts) == (parcel, "delivered", 1)
    assert len(attempts) == 2
    assert await audited(town) == [(ACTOR, "delivery.replayed")]
    with pytest.raises(NotFoundError):
        await replaying.replay(town.pool, town.account, only + 1, ACTOR)


async def test_what_failed_goes_before_what_waits_behind_it(town: Town) -> None:
    """The first fails for good, the second is to be tried again in an hour: order is kept."""
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcel = await town.register()
    await town.observe(parcel, scan(5, "accepted"), scan(4, "sorted"))
    await town.tell()
    terms = Terms(event_pauses=(3600.0,), patience=Rules(failures=1000))
    subscriber = Subscriber(broken)
    worker = deliverer(town, subscriber, terms)
    await drain(town, worker)
    await town.run(
        "UPDATE delivery SET state = 'failed' WHERE account_id = $1 AND attempts = 1 RETURNING 1"
    )
    await town.run(
        "UPDATE delivery SET due_at = now() + interval '1 h' WHERE account_id = $1"
        " AND delivery_id = $2 RETURNING 1",
        (await ids(town, connection))[1],
    )
    assert await times(town, connection) == [True, False]
    await replaying.replay(town.pool, town.account, (await ids(town, connection))[0], ACTOR)
    assert await times(town, connection) == [True, False, False]
    subscriber.answer = ok
    subscriber.told.clear()
    await drain(town, worker)
    assert subscriber.of(parcel) == [1, 2, 3]


async def test_what_may_be_under_way_is_waited_for_and_then_goes_behind(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcel = await town.register()
    await town.tell()
    await drain(town, deliverer(town, Subscriber()))
    await town.observe(parcel, scan(5, "accepted"))
    await town.tell()
    subscriber = Subscriber(broken, gate=asyncio.Event())
    terms = Terms(event_pauses=(3600.0,) * 5, patience=Rules(failures=1000))
    worker = deliverer(town, subscriber, terms)
    at_it = asyncio.create_task(worker.work(Lane(town.account, connection)))
    while not subscriber.told:
        await asyncio.sleep(0.01)
    first, _ = await ids(town, connection)
    await replaying.replay(town.pool, town.account, first, ACTOR)
    assert await times(town, connection) == [False, True]
    told = subscriber.told
    subscriber.answer = lambda _: Answered(500 if len(told) == 1 else 200)
    subscriber.gate.set()
    await at_it
    await drain(town, worker)
    # The second failed, and is behind the first: with that delivered it is its turn again.
    assert subscriber.of(parcel) == [2, 1, 2]
    assert subscriber.at_once == 1
    assert {state for state, _ in await states(town, connection)} == {"delivered"}


async def test_everything_since_a_time_goes_out_again_in_order(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "AT_ONCE", 5)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    other = await town.connect("webhook", Form.EVENT, ALL)
    parcels = await journeys(town, 5)
    subscriber = Subscriber()
    worker = deliverer(town, subscriber)
    await drain(town, worker)
    every = await ids(town, connection)
    await town.run(
        "UPDATE delivery SET created_at = now() - interval '1 day'"
        " WHERE account_id = $1 AND delivery_id <= $2 RETURNING 1",
        every[7],
    )
    subscriber.told.clear()
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    again = await replaying.replay_since(town.pool, town.account, connection, an_hour_ago, ACTOR)
    assert (again.deliveries, again.next_cursor) == (12, "")
    await drain(town, worker)
    # The eight that are too old are the five registrations and all else of the first parcel.
    of_each = [subscriber.of(parcel) for parcel in parcels]
    assert of_each == [[], *[[2, 3, 4]] * 4]
    assert {state for state, _ in await states(town, other)} == {"delivered"}


async def test_a_long_replay_goes_on_where_it_was(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replaying, "AT_ONCE", 3)
    monkeypatch.setattr(replaying, "MOST", 6)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcels = await journeys(town, 2)
    subscriber = Subscriber(broken)
    worker = deliverer(town, subscriber)
    await drain(town, worker)
    subscriber.answer = ok
    subscriber.told.clear()
    counts, cursor = [], ""
    while True:
        some = await replaying.replay_since(
            town.pool, town.account, connection, LONG_AGO, ACTOR, ("failed",), cursor
        )
        counts.append(some.deliveries)
        # What is delivered in between is not taken again.
        await drain(town, worker)
        cursor = some.next_cursor
        if not cursor:
            break
    assert counts == [6, 2]
    assert all(subscriber.of(parcel) == [1, 2, 3, 4] for parcel in parcels)
    with pytest.raises(ForeignCursor):
        await replaying.replay_since(
            town.pool, town.account, connection, LONG_AGO, ACTOR, ("failed",), "x" * 32
        )


async def test_resumed_everything_goes_out_the_oldest_first(town: Town) -> None:
    """Though the oldest had failed, and was to be tried again much later than the others."""
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcels = [await town.register()]
    await town.tell()
    terms = Terms(event_pauses=(3600.0,) * 5, patience=Rules(failures=1000))
    worker = deliverer(town, Subscriber(broken), terms)
    await drain(town, worker)
    await health.pause(town.pool, town.account, connection, ACTOR)
    for _ in range(6):
        parcels.append(await town.register())
        await town.observe(parcels[-1], scan(5, "accepted"))
        await town.tell()
    await town.observe(parcels[0], scan(4, "accepted"))
    await town.tell()
    assert await worker.due(10) == []
    await health.resume(town.pool, town.account, connection, ACTOR)
    # One at a time: of several nobody can say which came first.
    one_by_one = Subscriber()
    await drain(town, deliverer(town, one_by_one, Terms(patience=Rules(failures=0))))
    of_each = [parcel for parcel, _, _ in one_by_one.told]
    assert of_each == [*parcels, *parcels[1:], parcels[0]], "the first one's second came last"
    assert await audited(town) == [(ACTOR, "connection.paused"), (ACTOR, "connection.resumed")]


async def test_a_disabled_one_is_noted_and_can_be_resumed(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    await drain(town, deliverer(town, Subscriber(lambda _: Answered(410))))
    found = await health.health_of(town.pool, town.account, connection)
    assert (found.state, "410" in found.reason) == ("disabled", True)
    assert await audited(town) == [("milepost", "connection.disabled")]
    await health.pause(town.pool, town.account, connection, ACTOR)
    assert (await health.health_of(town.pool, town.account, connection)).state == "disabled"
    await health.resume(town.pool, town.account, connection, ACTOR)
    found = await health.health_of(town.pool, town.account, connection)
    assert (found.state, found.reason, found.failures) == ("open", "", 0)
    subscriber = Subscriber()
    await drain(town, deliverer(town, subscriber))
    assert len(subscriber.told) == 1


async def test_a_busy_backlog_leaves_the_others_their_turn(town: Town) -> None:
    """A lane that is left is behind the lanes that wait already, however old its backlog is."""
    old = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 2)
    await town.run(
        "UPDATE delivery SET due_at = now() - interval '1 day'"
        " WHERE account_id = $1 AND due_at < 'infinity' RETURNING 1"
    )
    fresh = await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    stop = asyncio.Event()
    stop.set()
    worker = deliverer(town, Subscriber())
    assert await worker.work(Lane(town.account, old), stop) == 0
    assert [lane.connection_id for lane in await worker.due(10)] == [fresh, old]


async def test_of_another_account_there_is_nothing(town: Town, admin_pool: Pool) -> None:
    other = int(
        await admin_pool.fetchval("INSERT INTO account (name) VALUES ('x') RETURNING account_id")
    )
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    (only,) = await ids(town, connection)
    for work in (
        replaying.replay(town.pool, other, only, ACTOR),
        replaying.replay_since(town.pool, other, connection, LONG_AGO, ACTOR),
        health.pause(town.pool, other, connection, ACTOR),
        health.resume(town.pool, other, connection, ACTOR),
        health.health_of(town.pool, other, connection),
        log.page(town.pool, other, connection, log.Wanted()),
        log.one(town.pool, other, only),
    ):
        with pytest.raises(NotFoundError):
            await work
    assert (await health.page_of_health(town.pool, other, 10))[0] == []
    assert await states(town, connection) == [("pending", 0)]
