"""From the outbox to the feed and to whom it is told."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import pytest
from tests.notifications.town import Town, scan

from milepost.db.pool import tenant
from milepost.notifications import fan_out
from milepost.notifications.audience import LETTER
from milepost.notifications.forms import Form
from milepost.wire.classic import STATUS_CHANGED
from milepost.wire.v3_event import CREATED

EVERYTHING: dict[str, object] = {}


async def test_a_registration_is_in_the_feed_and_the_outbox_is_empty(town: Town) -> None:
    parcel = await town.register()
    assert await town.fan_out.waiting(0, 10) == [town.account]
    assert await town.tell() == 1
    assert await town.feed() == [(1, parcel, 1, "event")]
    assert await town.fan_out.waiting(0, 10) == []


async def test_scans_of_one_answer_go_out_in_order_and_one_at_a_time(town: Town) -> None:
    subscriber = await town.connect("webhook", Form.EVENT, EVERYTHING)
    parcel = await town.register()
    await town.observe(parcel, scan(30, "accepted"), scan(20, "sorted"), scan(2, "delivered"))
    other = await town.register()
    await town.tell()
    assert await town.deliveries(subscriber) == [
        (parcel, 1, CREATED, True),
        (parcel, 2, CREATED, False),
        (parcel, 3, CREATED, False),
        (parcel, 4, CREATED, False),
        (other, 1, CREATED, True),
    ]
    await town.observe(other, scan(1, "accepted"))
    await town.tell()
    assert (await town.deliveries(subscriber))[-1] == (other, 2, CREATED, False)


async def test_what_is_only_said_in_other_words_makes_no_delivery(town: Town) -> None:
    connections = [
        await town.connect("webhook", Form.EVENT, EVERYTHING),
        await town.connect("integration", Form.CLASSIC),
    ]
    parcel = await town.register()
    said = scan(5, "accepted")
    await town.observe(parcel, said)
    await town.tell()
    before = [await town.deliveries(one) for one in connections]
    await town.observe(parcel, replace(said, raw_text="We have it"))
    kept = "SELECT fact::text LIKE '%We have it%' FROM event WHERE account_id = $1 AND sequence = 2"
    assert await town.run(kept), "it was a revision of what is kept"
    await town.tell()
    assert [await town.deliveries(one) for one in connections] == before
    assert len(await town.feed()) == 2
    await town.observe(parcel, replace(said, raw_text="We have it"), scan(4, "sorted"))
    await town.tell()
    after = [await town.deliveries(one) for one in connections]
    assert [len(one) for one in after] == [len(one) + 1 for one in before], "a new one does"


async def test_a_connection_is_told_once_however_many_subscriptions_want_it(town: Town) -> None:
    subscriber = await town.connect("webhook", Form.EVENT, EVERYTHING, {"phases": ["announced"]})
    nobody = await town.connect("webhook", Form.EVENT)
    await town.register()
    await town.tell()
    assert len(await town.deliveries(subscriber)) == 1
    assert await town.deliveries(nobody) == []


async def test_filters(town: Town) -> None:
    of_another = await town.connect("webhook", Form.EVENT, {"carriers": ["ups"]})
    of_carrier = await town.connect("webhook", Form.EVENT, {"carriers": ["dhl"]})
    of_phase = await town.connect("webhook", Form.EVENT, {"phases": ["delivered", "sorted"]})
    of_changes = await town.connect("webhook", Form.EVENT, {"status_changes": True})
    of_trouble = await town.connect("webhook", Form.EVENT, {"exceptions": ["not_home"]})
    parcel = await town.register()
    await town.observe(
        parcel,
        scan(40, "sorted none success in_progress", "A"),
        scan(30, "sorted none success in_progress", "B"),
        scan(20, "attempted delivery_delay warning not_home"),
        scan(2, "delivered"),
    )
    await town.tell()

    async def told(connection: int) -> list[int]:
        return [sequence for _, sequence, _, _ in await town.deliveries(connection)]

    assert await told(of_another) == []
    assert await told(of_carrier) == [1, 2, 3, 4, 5]
    assert await told(of_phase) == [2, 3, 5]
    assert await told(of_changes) == [1, 2, 4, 5]
    assert await told(of_trouble) == []


async def test_an_integration_hears_of_the_resulting_status_alone(town: Town) -> None:
    shop = await town.connect("integration", Form.CLASSIC)
    closed = await town.connect("integration", Form.CLASSIC, active=False)
    parcel = await town.register()
    await town.observe(parcel, scan(30, "accepted"), scan(20, "sorted"), scan(2, "delivered"))
    await town.tell()
    assert await town.deliveries(shop) == [(parcel, 4, STATUS_CHANGED, True)]
    await town.observe(parcel, scan(1, "none none success additional_information"))
    await town.tell()
    assert len(await town.deliveries(shop)) == 1, "a notice changes no status"
    assert await town.deliveries(closed) == []


async def test_a_parcel_may_name_its_integration(town: Town) -> None:
    one = await town.connect("integration", Form.CLASSIC)
    other = await town.connect("integration", Form.CLASSIC)
    closed = await town.connect("integration", Form.CLASSIC, active=False)
    named = await town.register(details={"integration_id": other})
    unknown = await town.register(details={"integration_id": 987_654})
    silent = await town.register(details={"integration_id": closed})
    await town.tell()
    assert [told[0] for told in await town.deliveries(one)] == [unknown]
    assert [told[0] for told in await town.deliveries(other)] == [named, unknown]
    assert await town.deliveries(closed) == []
    assert silent


async def test_at_most_one_letter_and_none_about_what_is_stale(town: Town) -> None:
    post = await town.connect("email", Form.EMAIL, phases=["in_delivery", "delivered", "sorted"])
    parcel = await town.register()
    await town.observe(parcel, scan(70, "sorted"))
    await town.tell()
    assert await town.deliveries(post) == [], "two days ago and more"
    await town.observe(parcel, scan(9, "in_delivery"), scan(2, "delivered"))
    await town.tell()
    assert await town.deliveries(post) == [(parcel, 4, LETTER, True)]


@pytest.mark.parametrize(
    ("beyond", "letters", "changes"), [(fan_out.BEYOND, [4], [4]), (0, [], [2])]
)
async def test_what_was_seen_together_is_one_letter_wherever_the_cut_falls(
    town: Town, monkeypatch: pytest.MonkeyPatch, beyond: int, letters: list[int], changes: list[int]
) -> None:
    """Taken apart each half is a repetition of the other, and numbered as if the rest were new."""
    monkeypatch.setattr(fan_out, "AT_ONCE", 3)
    monkeypatch.setattr(fan_out, "BEYOND", beyond)
    post = await town.connect("email", Form.EMAIL, phases=["attempted"])
    shop = await town.connect("integration", Form.CLASSIC)
    attempted = "attempted delivery_delay warning not_home"
    parcel, other = await town.register(), await town.register()
    await town.run("DELETE FROM outbox WHERE account_id = $1 RETURNING 1")
    scans = scan(9, attempted, "A"), scan(5, "in_delivery"), scan(2, attempted, "B")
    await town.observe(parcel, *scans, quiet=True)
    # As it is where another is registered while this is recorded: ids lie close by, not in a row.
    await town.run(
        "INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)"
        " SELECT $1, p, s, 'event', at FROM unnest("
        "  ARRAY[$2, $2, $3, $2, $2]::bigint[], ARRAY[1, 2, 1, 3, 4],"
        "  $4::timestamptz[]) AS o (p, s, at) RETURNING 1",
        *(parcel, other, [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 2, 2)]),
    )
    assert await town.fan_out.tell(town.account) == (5 if beyond else 3)
    await town.tell()
    assert [sequence for _, sequence, *_ in await town.deliveries(post)] == letters
    told = [sequence for of, sequence, *_ in await town.deliveries(shop) if of == parcel]
    assert told == changes
    assert [(of, sequence) for _, of, sequence, _ in await town.feed() if of == parcel] == [
        (parcel, sequence) for sequence in (1, 2, 3, 4)
    ]
    assert len(await town.feed()) == 5, "each once, the other parcel's too"


async def test_what_is_recorded_quietly_is_told_to_nobody(town: Town) -> None:
    subscriber = await town.connect("webhook", Form.EVENT, EVERYTHING)
    parcel = await town.register()
    await town.tell()
    await town.observe(parcel, scan(3, "accepted"), quiet=True)
    assert await town.tell() == 0
    assert len(await town.deliveries(subscriber)) == 1


async def test_the_feed_has_no_gap_and_nothing_twice_with_many_at_it(town: Town) -> None:
    subscriber = await town.connect("webhook", Form.EVENT, EVERYTHING)
    parcels = [await town.register() for _ in range(12)]

    async def record(parcel: int) -> None:
        for hours in (9, 8, 7):
            await town.observe(parcel, scan(hours, "sorted", f"S{hours}"))

    async def tell() -> None:
        for _ in range(40):
            await town.fan_out.tell(town.account)
            await asyncio.sleep(0)

    await asyncio.gather(*map(record, parcels), *(tell() for _ in range(3)))
    await town.tell()
    feed = await town.feed()
    assert [number for number, *_ in feed] == list(range(1, 49))
    for parcel in parcels:
        assert [sequence for _, of, sequence, _ in feed if of == parcel] == [1, 2, 3, 4]
    told = await town.deliveries(subscriber)
    assert sorted(told) == sorted((p, s, CREATED, s == 1) for p in parcels for s in range(1, 5))


async def test_nothing_is_told_of_an_account_that_another_is_at(town: Town, dsn: str) -> None:
    await town.register()
    await town.tell()
    await town.register()
    other = await asyncpg.connect(dsn)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM feed_head FOR UPDATE")
            assert await town.fan_out.tell(town.account) == 0
    finally:
        await other.close()
    assert await town.fan_out.tell(town.account) == 1


async def test_a_lane_has_its_turn_when_there_is_something_to_deliver(town: Town) -> None:
    subscriber = await town.connect("webhook", Form.EVENT, EVERYTHING)
    due = "SELECT turn_at <= now() FROM delivery_lane WHERE account_id = $1 AND connection_id = $2"
    assert await town.run(due, subscriber) is False
    await town.register()
    await town.tell()
    assert await town.run(due, subscriber) is True


@pytest.mark.parametrize("after", [0, 1])
async def test_accounts_are_found_in_turns(town: Town, after: int) -> None:
    await town.register()
    beyond = town.account if after else 0
    assert await town.fan_out.waiting(beyond, 10) == ([] if after else [town.account])


async def test_with_many_to_tell_less_is_told_at_once(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their lanes are locked meanwhile: 500 events to 100 connections took ten seconds."""
    monkeypatch.setattr(fan_out, "DELIVERIES_AT_ONCE", 6)
    monkeypatch.setattr(fan_out, "FEWEST", 1)
    subscribers = [await town.connect("webhook", Form.EVENT, EVERYTHING) for _ in range(3)]
    for _ in range(3):
        await town.register()
    assert [await town.fan_out.tell(town.account) for _ in range(3)] == [2, 1, 0]
    assert [len(await town.deliveries(one)) for one in subscribers] == [3, 3, 3]


async def test_what_is_pending_for_other_parcels_is_not_read(town: Town) -> None:
    connection = await town.connect()
    deliver = (
        "SELECT deliver_to($1, array_agg($2::bigint), array_agg($3::bigint), array_agg(p))"
        " FROM generate_series($4::bigint, $4 + $5::bigint - 1) AS p"
    )
    message = await town.run(
        "INSERT INTO message (account_id, parcel_id, event_id, action, form, body)"
        " VALUES ($1, 0, 'evt_1', 'test', 'event', 'x') RETURNING message_id"
    )
    for first in range(10):
        await town.run(deliver, connection, message, 1_000_000 * first, 300)
    read = (
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_xact_all_tables"
        " WHERE relname = 'delivery' AND $1::bigint > 0"
    )
    async with tenant(town.pool, town.account) as conn:
        before = await conn.fetchval(read, town.account)
        await conn.execute(deliver, town.account, connection, message, 1_000_200, 200)
        assert await conn.fetchval(read, town.account) - before <= 400
    behind = (
        "SELECT count(*) FROM delivery WHERE account_id = $1 AND due_at = 'infinity'"
        " AND parcel_id BETWEEN 1000200 AND 1000299"
    )
    assert await town.run(behind) == 100, "behind what was there before"
