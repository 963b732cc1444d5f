"""Deliveries: in order for each parcel, tried again on schedule, and nobody in another's way."""

import asyncio
from datetime import timedelta

import pytest
from tests.notifications.subscriber import Subscriber, broken, ok
from tests.notifications.town import Town, scan

from milepost.egress.outcomes import Answered, Failed, Forbidden, Outcome
from milepost.notifications import turn as turn_module
from milepost.notifications.deliver import Deliverer
from milepost.notifications.forms import Form, Kind
from milepost.notifications.held import Delivery, Lane
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.notifications.turn import AT_ONCE

ALL: dict[str, object] = {}
SOON = Terms(
    classic_pauses=(0.0,) * 10,
    event_pauses=(0.0,) * 5,
    patience=Rules(failures=1000),
    lease=timedelta(seconds=60),
)


def deliverer(town: Town, subscriber: Subscriber, terms: Terms = SOON) -> Deliverer:
    return Deliverer(town.pool, {Kind.WEBHOOK: subscriber, Kind.INTEGRATION: subscriber}, terms)


async def drain(town: Town, worker: Deliverer, rounds: int = 50) -> int:
    """Work until no lane has its turn; how many attempts were made."""
    made = 0
    for _ in range(rounds):
        lanes = await worker.due(100)
        if not lanes:
            break
        made += sum(await asyncio.gather(*map(worker.work, lanes)))
    return made


async def states(town: Town, connection: int) -> list[tuple[str, int]]:
    return await town.rows(
        "SELECT state, attempts FROM delivery WHERE account_id = $1 AND connection_id = $2"
        " ORDER BY delivery_id",
        connection,
    )


async def journeys(town: Town, parcels: int) -> list[int]:
    """Parcels with four events each, told."""
    found = [await town.register() for _ in range(parcels)]
    for parcel in found:
        scans = (scan(30, "accepted"), scan(20, "sorted"), scan(2, "delivered"))
        await town.observe(parcel, *scans)
    await town.tell()
    return found


async def later(town: Town, connection: int, interval: str) -> None:
    """So much time goes by for a lane."""
    await town.run(
        f"UPDATE delivery_lane SET rests_until = rests_until - interval '{interval}',"
        f" lease_until = lease_until - interval '{interval}',"
        f" turn_at = turn_at - interval '{interval}'"
        " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        connection,
    )


async def test_every_event_once_and_in_order_several_parcels_side_by_side(town: Town) -> None:
    subscriber = Subscriber(delay=0.01)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcels = await journeys(town, 8)
    assert await drain(town, deliverer(town, subscriber)) == 32
    assert all(subscriber.of(parcel) == [1, 2, 3, 4] for parcel in parcels)
    assert 1 < subscriber.at_once <= AT_ONCE
    assert set(await states(town, connection)) == {("delivered", 1)}


async def test_what_fails_holds_up_its_parcel_alone(town: Town) -> None:
    await town.connect("webhook", Form.EVENT, ALL)
    first, other = await journeys(town, 2)
    terms = Terms(patience=Rules(failures=1000))
    subscriber = Subscriber(lambda one: Answered(500 if one.parcel_id == first else 200))
    await drain(town, deliverer(town, subscriber, terms))
    assert subscriber.of(first) == [1]
    assert subscriber.of(other) == [1, 2, 3, 4]


async def test_the_schedule_ends_and_the_parcels_next_goes_on(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcel = await town.register()
    await town.tell()
    await town.observe(parcel, scan(3, "accepted"))
    await town.tell()

    def answer(delivery: Delivery) -> Outcome:
        return Answered(500 if delivery.sequence == 1 else 200)

    subscriber = Subscriber(answer)
    await drain(town, deliverer(town, subscriber))
    assert subscriber.of(parcel) == [1] * 6 + [2]
    assert await states(town, connection) == [("failed", 6), ("delivered", 1)]


async def test_a_retry_is_due_after_its_pause(town: Town) -> None:
    connection = await town.connect("integration", Form.CLASSIC)
    await town.register()
    await town.tell()
    assert await drain(town, deliverer(town, Subscriber(broken), Terms())) == 1
    ((wait, turn),) = await town.rows(
        "SELECT extract(epoch FROM d.due_at - now())::float, extract(epoch FROM l.turn_at - now())"
        "::float FROM delivery d JOIN delivery_lane l USING (account_id, connection_id)"
        " WHERE account_id = $1 AND connection_id = $2",
        connection,
    )
    assert 300 * 0.9 - 20 < wait <= 300 * 1.1
    assert turn == pytest.approx(wait, abs=1)


@pytest.mark.parametrize(
    "outcome", [Failed("timeout", "no answer"), Answered(302), Answered(404), Answered(500)]
)
async def test_anything_but_2xx_is_a_failure(town: Town, outcome: Outcome) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    await drain(town, deliverer(town, Subscriber(lambda _: outcome), Terms()))
    assert await states(town, connection) == [("pending", 1)]


async def test_410_ends_it_at_once_and_the_backlog_stays(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcel = await town.register()
    await town.observe(parcel, scan(3, "accepted"))
    await town.tell()
    worker = deliverer(town, Subscriber(lambda _: Answered(410)))
    assert await drain(town, worker) == 1
    assert await states(town, connection) == [("failed", 1), ("pending", 0)]
    state = "SELECT state FROM delivery_lane WHERE account_id = $1 AND connection_id = $2"
    assert await town.run(state, connection) == "disabled"
    await town.observe(parcel, scan(2, "delivered"))
    await town.tell()
    assert await worker.due(10) == []
    assert len(await states(town, connection)) == 3


async def test_nothing_sent_is_no_attempt(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    worker = deliverer(town, Subscriber(lambda _: Forbidden("a loopback address")), Terms())
    await drain(town, worker)
    assert await states(town, connection) == [("pending", 0)]
    reason = "SELECT reason FROM delivery_lane WHERE account_id = $1 AND connection_id = $2"
    assert await town.run(reason, connection) == "a loopback address"


async def test_a_subscriber_that_fails_rests_and_one_delivery_tries_it(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 10)
    rules = Rules(failures=3, rest=3600, longest_rest=3600)
    terms = Terms(event_pauses=(0.0,) * 50, patience=rules)
    subscriber = Subscriber(broken)
    worker = deliverer(town, subscriber, terms)
    made = await drain(town, worker)
    assert made <= 3 + AT_ONCE, "those under way when the third failed"
    assert await worker.due(10) == []
    await later(town, connection, "1 hour")
    subscriber.at_once = 0
    assert await drain(town, worker) == 1
    assert subscriber.at_once == 1
    await later(town, connection, "1 hour")
    subscriber.answer = ok
    await drain(town, worker)
    assert {state for state, _ in await states(town, connection)} == {"delivered"}


async def test_what_failed_for_too_long_is_given_up(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 3)
    await town.run(
        "UPDATE delivery_lane SET failing_since = now() - interval '5 days', failures = 1"
        " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        connection,
    )
    await drain(town, deliverer(town, Subscriber(broken), Terms()))
    state = "SELECT state FROM delivery_lane WHERE account_id = $1 AND connection_id = $2"
    assert await town.run(state, connection) == "disabled"


async def test_a_slow_subscriber_holds_up_nobody(town: Town) -> None:
    slow, quick = Subscriber(gate=asyncio.Event()), Subscriber()
    await town.connect("integration", Form.CLASSIC)
    await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    worker = Deliverer(town.pool, {Kind.WEBHOOK: quick, Kind.INTEGRATION: slow}, SOON)
    at_it = [asyncio.create_task(worker.work(lane)) for lane in await worker.due(10)]
    while not quick.told:
        await asyncio.sleep(0.01)
    assert not all(task.done() for task in at_it)
    slow.gate.set()
    await asyncio.gather(*at_it)
    assert len(slow.told) == 1


async def test_a_lane_is_in_one_hand_and_a_dead_hand_lets_go(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcels = await journeys(town, 6)
    stuck, other = Subscriber(delay=60), Subscriber()
    lane = Lane(town.account, connection)
    terms = Terms(lease=timedelta(hours=1))
    frozen = asyncio.create_task(deliverer(town, stuck, terms).work(lane))
    while not stuck.told:
        await asyncio.sleep(0.01)
    assert await deliverer(town, other).work(lane) == 0
    frozen.cancel()
    await asyncio.gather(frozen, return_exceptions=True)
    assert await deliverer(town, other).due(10) == []
    await later(town, connection, "1 hour")
    await drain(town, deliverer(town, other))
    assert all(other.of(parcel) == [1, 2, 3, 4] for parcel in parcels)


async def test_what_a_frozen_worker_brings_late_is_not_written(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await town.register()
    await town.tell()
    lane = Lane(town.account, connection)
    late = Subscriber(broken, gate=asyncio.Event())
    bring = asyncio.create_task(deliverer(town, late).work(lane))
    while not late.told:
        await asyncio.sleep(0.01)
    # As if the lease were over: the next one takes the lane, and the fence moves.
    await town.run(
        "UPDATE delivery_lane SET lease_until = now(), turn_at = now()"
        " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        connection,
    )
    await drain(town, deliverer(town, Subscriber()))
    late.gate.set()
    await bring
    assert await states(town, connection) == [("delivered", 1)]


async def test_a_fault_of_ours_rests_the_lane(town: Town) -> None:
    """What was sent could not be noted: without a rest it would be sent for ever."""
    await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 3)

    def fault(_: Delivery) -> Outcome:
        raise TypeError("a bug")

    subscriber = Subscriber(fault)
    worker = deliverer(town, subscriber)
    for lane in await worker.due(10):
        with pytest.raises(TypeError):
            await worker.work(lane)
    assert await worker.due(10) == []
    assert len(subscriber.told) <= AT_ONCE


async def test_what_comes_beside_a_slow_request_does_not_wait_for_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # While the lane is in hand: not for as long as a busy machine takes to register one more.
    monkeypatch.setattr(turn_module, "HOLD_SECONDS", 600.0)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    first = await town.register()
    await town.tell()
    slow = Subscriber(delay=60)
    worker = asyncio.create_task(deliverer(town, slow).work(Lane(town.account, connection)))
    while not slow.told:
        await asyncio.sleep(0.01)
    other = await town.register()
    await town.tell()
    async with asyncio.timeout(60):
        while len(slow.told) < 2:
            await asyncio.sleep(0.05)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert [parcel for parcel, _, _ in slow.told] == [first, other]
