"""The delivery log, page by page, and how connections do."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.notifications.subscriber import Subscriber, broken
from tests.notifications.test_deliver import ALL, deliverer, drain, journeys
from tests.notifications.town import Town

from milepost.egress.outcomes import Answered
from milepost.notifications import health, log
from milepost.notifications.forms import Form
from milepost.notifications.log import Wanted
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.parcels.listing import ForeignCursor


async def test_pages_are_stable_while_more_comes(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 3)
    whole = (await log.page(town.pool, town.account, connection, Wanted(size=100))).deliveries
    assert [one.delivery_id for one in whole] == sorted(
        (one.delivery_id for one in whole), reverse=True
    )
    read: list[log.Logged] = []
    cursor = ""
    while True:
        wanted = Wanted(size=5, cursor=cursor)
        page = await log.page(town.pool, town.account, connection, wanted)
        read += page.deliveries
        await town.register()
        await town.tell()
        cursor = page.next_cursor
        if not cursor:
            break
    assert read == list(whole)
    first = await log.page(town.pool, town.account, connection, Wanted(size=5))
    other = Wanted(state="failed", size=5, cursor=first.next_cursor)
    with pytest.raises(ForeignCursor):
        await log.page(town.pool, town.account, connection, other)


async def test_it_is_narrowed_by_state_parcel_and_time(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    first, second = await journeys(town, 2)
    subscriber = Subscriber(lambda one: Answered(500 if one.parcel_id == first else 200))
    await drain(town, deliverer(town, subscriber))

    async def found(**wanted: object) -> set[tuple[int, str]]:
        page = await log.page(town.pool, town.account, connection, Wanted(**wanted))  # type: ignore[arg-type]
        return {(one.parcel_id, one.state) for one in page.deliveries}

    assert await found(state="failed") == {(first, "failed")}
    assert await found(parcel_id=second) == {(second, "delivered")}
    assert await found(state="pending") == set()
    now = datetime.now(UTC)
    assert await found(since=now + timedelta(seconds=1)) == set()
    assert len(await found(since=now - timedelta(minutes=1))) == 2
    (failed, *_) = (
        await log.page(town.pool, town.account, connection, Wanted(state="failed"))
    ).deliveries
    assert (failed.attempts, failed.status, failed.error) == (6, 500, "it answered 500")
    assert failed.next_attempt_at is None


async def test_since_is_found_among_many_by_halving(town: Town) -> None:
    """Every border of a row of deliveries, a minute's grace for those that overtook others."""
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 3)
    await town.run(
        "UPDATE delivery SET created_at = now() - delivery_id * -interval '1 day'"
        " WHERE account_id = $1 AND connection_id = $2 RETURNING 1",
        connection,
    )
    rows = await town.rows(
        "SELECT delivery_id, created_at FROM delivery"
        " WHERE account_id = $1 AND connection_id = $2 ORDER BY delivery_id",
        connection,
    )
    for place, (delivery_id, created_at) in enumerate(rows):
        page = await log.page(
            town.pool, town.account, connection, Wanted(size=100, since=created_at)
        )
        assert page.deliveries[-1].delivery_id == delivery_id
        assert len(page.deliveries) == len(rows) - place


async def test_health_says_how_a_connection_does(town: Town) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    quiet = await town.connect("email", Form.EMAIL)
    well = await health.health_of(town.pool, town.account, connection)
    assert (well.state, well.pending, well.attempts, well.next_attempt_at) == ("open", 0, 0, None)
    await journeys(town, 2)
    rules = Rules(failures=2, rest=60)
    await drain(town, deliverer(town, Subscriber(broken), Terms(patience=rules)))
    ill = await health.health_of(town.pool, town.account, connection)
    assert (ill.state, ill.reason, ill.pending) == ("resting", "it answered 500", 8)
    assert ill.failures >= 2
    assert (ill.attempts, ill.delivered) == (2, 0)
    assert ill.rests_until == ill.next_attempt_at
    assert ill.failing_since is not None
    assert ill.oldest_at is not None
    assert ill.oldest_at <= ill.failing_since
    shown, cursor = await health.page_of_health(town.pool, town.account, 1)
    assert shown == [ill]
    shown, cursor = await health.page_of_health(town.pool, town.account, 1, cursor)
    assert ([one.connection_id for one in shown], cursor) == ([quiet], "")
