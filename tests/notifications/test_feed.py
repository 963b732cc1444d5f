"""Reading the feed: one order, no gap, from any place that is kept."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import jsonschema
import pytest
from tests.notifications.town import Town, scan

from milepost.db.pool import Pool, tenant
from milepost.notifications.bodies import Bodies
from milepost.notifications.fan_out import FanOut
from milepost.notifications.feed import LATEST, OLDEST, Feed, FeedPage, Forgotten, NoPlaceInFeed
from milepost.parcels.erase import erase
from milepost.parcels.render import Renderer
from milepost.wire.own_schemas import file_of


@pytest.fixture
def town(town: Town, worker_pool: Pool, renderer: Renderer) -> Town:
    """It says what is published."""
    return replace(town, fan_out=FanOut(worker_pool, renderer, Bodies()))


@pytest.fixture
def feed(app_pool: Pool) -> Feed:
    return Feed(app_pool)


def told(page: FeedPage) -> list[tuple[int, int]]:
    """(parcel, sequence) of each item."""
    documents = [json.loads(one.document) for one in page.items]
    return [(one["data"]["parcel"]["parcel_id"], one["sequence"]) for one in documents]


async def test_everything_in_the_order_it_was_told_whatever_the_pages(
    town: Town, feed: Feed
) -> None:
    first = await town.register()
    await town.observe(first, scan(30, "accepted"), scan(20, "sorted"))
    second = await town.register()
    await town.tell()
    expected = [(first, 1), (first, 2), (first, 3), (second, 1)]
    whole = await feed.read(town.account, OLDEST, 500)
    assert told(whole) == expected
    assert not whole.more
    for size in (1, 2, 3):
        found, page = [], await feed.read(town.account, OLDEST, size)
        while page.items:
            found += told(page)
            assert page.cursor == page.items[-1].cursor
            page = await feed.read(town.account, page.cursor, size)
        assert found == expected
        assert not page.more
    assert (await feed.read(town.account, whole.items[1].cursor, 1)).more


async def test_an_item_is_the_published_body_with_its_place(town: Town, feed: Feed) -> None:
    parcel = await town.register()
    await town.observe(parcel, scan(5, "accepted"))
    await town.tell()
    rows = await town.rows("SELECT event_id, body FROM message WHERE account_id = $1 ORDER BY 1")
    page = await feed.read(town.account, OLDEST, 10)
    schema = jsonschema.Draft202012Validator(json.loads(file_of("feed_event")))
    for item, (event_id, body) in zip(page.items, rows, strict=True):
        document = json.loads(item.document)
        schema.validate(document)
        assert (document["id"], document["type"]) == (event_id, "parcels.event.created")
        assert document["data"] == json.loads(body)["data"]
        assert b"\n" not in item.document


async def test_from_now_on(town: Town, feed: Feed) -> None:
    nothing = await feed.read(town.account, LATEST, 10)
    assert nothing.items == ()
    parcel = await town.register()
    await town.tell()
    now = await feed.read(town.account, LATEST, 10)
    assert (now.items, now.more) == ((), False)
    other = await town.register()
    await town.tell()
    assert told(await feed.read(town.account, now.cursor, 10)) == [(other, 1)]
    assert told(await feed.read(town.account, nothing.cursor, 10)) == [(parcel, 1), (other, 1)]


async def test_what_is_erased_leaves_its_place(town: Town, feed: Feed) -> None:
    gone, stays = await town.register(), await town.register()
    await town.tell()
    before = await feed.read(town.account, OLDEST, 10)
    await town.run("SELECT forget_told($1, $2)", gone)
    after = await feed.read(town.account, OLDEST, 10)
    assert [one.cursor for one in after.items] == [one.cursor for one in before.items]
    grave, other = (json.loads(one.document) for one in after.items)
    jsonschema.validate(grave, json.loads(file_of("feed_event")))
    assert (grave["type"], grave["data"]) == (
        "parcels.parcel.erased",
        {"parcel": {"parcel_id": gone}},
    )
    assert other["data"]["parcel"]["parcel_id"] == stays


async def test_an_erasure_is_told_to_whoever_has_read_of_the_parcel(town: Town, feed: Feed) -> None:
    gone = await town.register()
    await town.tell()
    read = (await feed.read(town.account, OLDEST, 10)).cursor
    untold = await town.register()
    for parcel in (gone, untold, gone):
        await erase(town.pool, town.account, parcel, "test")
    stays = await town.register()
    await town.tell()
    items = (await feed.read(town.account, read, 10)).items
    found = [json.loads(one.document) for one in items]
    assert [one["sequence"] for one in found] == [0, 0, 1], "a repeat erases nothing"
    assert [one["data"]["parcel"]["parcel_id"] for one in found] == [gone, untold, stays]
    assert [one["type"] for one in found[:2]] == ["parcels.parcel.erased"] * 2
    assert set(found[0]["data"]) == {"parcel"}
    whole = (await feed.read(town.account, OLDEST, 10)).items
    ids = [json.loads(one.document)["id"] for one in whole]
    assert len(set(ids)) == len(ids) == 4, "the event's gravestone has an id of its own"
    for one in found:
        jsonschema.validate(one, json.loads(file_of("feed_event")))


async def test_what_was_said_and_is_not_so_any_more_is_withdrawn(town: Town, feed: Feed) -> None:
    parcel = await town.register()
    await town.tell()
    await town.run(
        "UPDATE feed_event SET kind = 'withdrawn' WHERE account_id = $1 AND parcel_id = $2", parcel
    )
    (item,) = (await feed.read(town.account, OLDEST, 10)).items
    assert json.loads(item.document)["type"] == "parcels.event.withdrawn"


async def test_behind_what_is_forgotten_the_oldest_is_named(town: Town, feed: Feed) -> None:
    started = (await feed.read(town.account, LATEST, 1)).cursor
    await town.register()
    second = await town.register()
    await town.tell()
    (first_item, _) = (await feed.read(town.account, OLDEST, 10)).items
    await town.run(
        "UPDATE feed_event SET recorded_at = now() - interval '99 days'"
        " WHERE account_id = $1 AND feed_seq = 1"
    )
    await town.run("SELECT forget_old_told($1, now() - interval '30 days', 100)")
    with pytest.raises(Forgotten) as forgotten:
        await feed.read(town.account, started, 10)
    assert told(await feed.read(town.account, forgotten.value.oldest, 10)) == [(second, 1)]
    # Whoever had read all that is forgotten has missed nothing.
    assert told(await feed.read(town.account, first_item.cursor, 10)) == [(second, 1)]
    assert told(await feed.read(town.account, OLDEST, 10)) == [(second, 1)]


async def test_no_place_of_this_feed(town: Town, feed: Feed) -> None:
    await town.register()
    await town.tell()
    cursor = (await feed.read(town.account, OLDEST, 10)).cursor
    for wrong in (cursor[:-2], "A" * 22, "é" * 22, "A" * 23):
        with pytest.raises(NoPlaceInFeed):
            await feed.read(town.account, wrong, 10)
    with pytest.raises(NoPlaceInFeed):
        await feed.read(town.account + 1, cursor, 10)
    await town.run("UPDATE feed_head SET feed_seq = 0 WHERE account_id = $1")
    with pytest.raises(NoPlaceInFeed, match="beyond"):
        await feed.read(town.account, cursor, 10)


Follow = Callable[[Town, Feed], Awaitable[set[int]]]
"""Reads what is new since it last read; the parcels it has seen."""


def by_feed_seq() -> Follow:
    """As the feed is read."""
    after, seen = [OLDEST], set[int]()

    async def follow(town: Town, feed: Feed) -> set[int]:
        await town.tell()
        page = await feed.read(town.account, after[0], 100)
        after[0] = page.cursor
        seen.update(parcel for parcel, _ in told(page))
        return seen

    return follow


def by_outbox_id() -> Follow:
    """The planted bug: what was recorded, by the id it was recorded under."""
    after, seen = [0], set[int]()

    async def follow(town: Town, feed: Feed) -> set[int]:
        rows = await town.rows(
            "SELECT outbox_id, parcel_id FROM outbox WHERE account_id = $1 AND outbox_id > $2"
            " ORDER BY outbox_id",
            after[0],
        )
        after[0] = max([after[0], *(row[0] for row in rows)])
        seen.update(row[1] for row in rows)
        await town.tell()
        return seen

    return follow


@pytest.mark.parametrize(("reading", "misses"), [(by_feed_seq, False), (by_outbox_id, True)])
async def test_what_commits_late_is_not_missed(
    town: Town, feed: Feed, reading: Callable[[], Follow], misses: bool
) -> None:
    """One has its id first and commits last; in between another is recorded, told and read."""
    follow = reading()
    # Another carrier's: those of one carrier wait for each other where its contract is made.
    ready = await town.registrar.prepare(town.account, town.request(carrier_code="postnl"))
    async with tenant(town.pool, town.account) as conn:
        late = (await town.registrar.store(town.account, ready, conn=conn)).parcel_id
        early = await town.register()
        assert await follow(town, feed) == {early}
    seen = await follow(town, feed)
    assert (late not in seen) is misses
    assert early in seen
