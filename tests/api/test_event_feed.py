"""The event feed at the door: pages, and waiting for them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace

import jsonschema
import pytest
from tests.api.feed_house import EVENTS, House, feed_house, revoke, until, waiting

from milepost.api import deadlines, milepost_events
from milepost.db.pool import Pool, tenant
from milepost.errors import DatabaseUnavailable
from milepost.wire.own_schemas import file_of


@pytest.fixture
async def house(dsn: str, account: int, worker_pool: Pool) -> AsyncIterator[House]:
    async with feed_house(dsn, account, worker_pool) as one:
        yield one


# Pages -----------------------------------------------------------------------------------------


async def test_pages(house: House) -> None:
    await house.happen(3)
    first = await house.client.get(f"{EVENTS}?limit=2")
    assert (first.status, first.headers["content-type"]) == (200, "application/json")
    schema = json.loads(file_of("feed_event"))
    for one in first.document["data"]:
        jsonschema.validate(one, schema)
    assert first.document["has_more"] is True
    rest = await house.client.get(f"{EVENTS}?after={first.document['next_cursor']}")
    assert len(rest.document["data"]) == 1
    assert rest.document["next_cursor"] == rest.document["data"][-1]["cursor"]
    assert rest.document["has_more"] is False
    end = await house.client.get(f"{EVENTS}?after={rest.document['next_cursor']}")
    assert end.document["data"] == []
    assert end.document["next_cursor"] == rest.document["next_cursor"]


@pytest.mark.parametrize(
    ("query", "name", "kind"),
    [
        ("after=x", "after", "cursor_format"),
        ("after=", "after", "cursor_format"),
        ("after=AAAAAAAAAAAAAAAAAAAAAA", "after", "cursor"),
        ("limit=0", "limit", "range"),
        ("limit=501", "limit", "range"),
        ("wait=31", "wait", "range"),
        ("wait=-1", "wait", "range"),
        ("wait=1&wait=1", "wait", "twice"),
        ("cursor=x", "cursor", "unknown"),
    ],
)
async def test_wrong_questions(house: House, query: str, name: str, kind: str) -> None:
    refused = await house.client.get(f"{EVENTS}?{query}")
    assert refused.status == 422
    (field,) = refused.document["errors"]
    assert (field["loc"], field["type"]) == (["query", name], kind)


async def test_what_is_forgotten_names_the_oldest_cursor(house: House) -> None:
    started = await house.cursor()
    await house.happen(2)
    async with tenant(house.fan_out._pool, house.account) as conn:
        await conn.execute("DELETE FROM feed_event WHERE feed_seq = 1")
        await conn.execute("UPDATE feed_head SET kept_from = 2")
    gone = await house.client.get(f"{EVENTS}?after={started}")
    assert (gone.status, gone.document["code"]) == (410, "cursor_forgotten")
    address = gone.headers["link"].removeprefix("<").partition(">")[0]
    assert address.partition("?")[2] in gone.document["detail"]
    assert len((await house.client.get(address)).document["data"]) == 1
    streamed = await house.client.get(EVENTS, Accept="text/event-stream", Last_Event_ID=started)
    assert streamed.status == 410


# Waiting ---------------------------------------------------------------------------------------


async def test_who_waits_holds_no_connection_and_is_woken(house: House) -> None:
    """There are eight connections, and fifteen wait."""
    cursor = await house.cursor()
    asking = [
        asyncio.create_task(house.client.get(f"{EVENTS}?after={cursor}&wait=20")) for _ in range(15)
    ]
    await until(lambda: waiting(house) == 15)
    refused = await house.client.get(f"{EVENTS}?after={cursor}&wait=20")
    assert (refused.status, refused.body) == (429, b"")
    assert int(refused.headers["retry-after"]) > 0
    assert (await house.client.get(f"{EVENTS}?after={cursor}")).status == 200
    await house.happen()
    for answer in await asyncio.gather(*asking):
        assert len(answer.document["data"]) == 1
    assert waiting(house) == 0


async def test_a_wait_that_is_over_answers_where_it_began(house: House) -> None:
    cursor = await house.cursor()
    answer = await house.client.get(f"{EVENTS}?after={cursor}&wait=1")
    assert answer.document == {"data": [], "next_cursor": cursor, "has_more": False}


async def test_a_wait_may_be_longer_than_a_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by it at once."""
    gone_by = 0.0
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + gone_by)
    monkeypatch.setattr(deadlines, "time", clock)

    async def first_of(seconds: float, *_: object) -> None:
        nonlocal gone_by
        gone_by = seconds
        # Whose time is over is cut off by then.
        await asyncio.sleep(5 * deadlines.PRECISION_SECONDS)

    monkeypatch.setattr(milepost_events, "first_of", first_of)
    answer = await house.client.get(f"{EVENTS}?wait=30")
    assert gone_by > house.parts.core.settings.request_seconds
    assert (answer.status, answer.document["data"]) == (200, [])


async def test_who_waits_is_answered_when_the_server_is_to_stop(house: House) -> None:
    asking = asyncio.create_task(house.client.get(f"{EVENTS}?after=latest&wait=30"))
    await until(lambda: waiting(house) == 1)
    house.parts.feed.watch.close()
    assert (await asking).document["data"] == []
    assert (await house.client.get(f"{EVENTS}?wait=30")).status == 200


async def test_a_credential_that_ended_meanwhile_is_told_nothing(house: House) -> None:
    asking = asyncio.create_task(house.client.get(f"{EVENTS}?after=latest&wait=30"))
    await until(lambda: waiting(house) == 1)
    await house.register()
    revoke(house)
    await house.tell()
    assert (await asking).status == 401


async def test_feeds_that_cannot_be_watched_for_a_while_are_watched_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = house.parts.feed.watch
    monkeypatch.setattr("milepost.notifications.feed_watch.FAULT_SECONDS", 0.01)
    looked, real = [0], watch._heads

    async def heads() -> dict[int, int]:
        looked[0] += 1
        if looked[0] < 3:
            raise DatabaseUnavailable("gone")
        return await real()

    monkeypatch.setattr(watch, "_heads", heads)
    asking = asyncio.create_task(house.client.get(f"{EVENTS}?after=latest&wait=30"))
    await until(lambda: looked[0] > 0)
    await house.happen()
    assert len((await asking).document["data"]) == 1
