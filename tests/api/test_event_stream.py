"""The event feed as Server-Sent Events."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.api.feed_house import EVENTS, House, feed_house, readers, revoke, streaming, until
from tests.api.own_api import own_api

from milepost.api import event_stream
from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable


@pytest.fixture
async def house(dsn: str, account: int, worker_pool: Pool) -> AsyncIterator[House]:
    async with feed_house(dsn, account, worker_pool) as one:
        yield one


async def test_a_stream_tells_what_was_and_what_comes_and_goes_on_where_it_was(
    house: House,
) -> None:
    await house.happen(2)
    async with streaming(house) as stream:
        assert stream.status == 200
        assert stream.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        await until(lambda: len(stream.events) == 2)
        await house.happen()
        await until(lambda: len(stream.events) == 3)
    pages = (await house.client.get(EVENTS)).document["data"]
    assert [json.loads(one["data"]) for one in stream.events] == pages
    assert [one["id"] for one in stream.events] == [one["cursor"] for one in pages]
    assert {one["event"] for one in stream.events} == {"parcels.event.created"}
    async with streaming(house, "after=latest", stream.events[0]["id"]) as again:
        await until(lambda: len(again.events) == 2)
    assert again.events == stream.events[1:]


async def test_a_stream_begins_with_its_place(house: House) -> None:
    await house.happen()
    cursor = await house.cursor()
    async with streaming(house, "after=latest") as stream:
        await until(lambda: cursor.encode() in stream.text)
        assert stream.text.startswith(b"retry: ")
        assert stream.events == []


async def test_a_long_past_comes_in_pieces_and_whole(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milepost.api.milepost_events.AT_ONCE", 2)
    monkeypatch.setattr(event_stream, "AT_ONCE", 2)
    await house.happen(5)
    async with streaming(house) as stream:
        await until(lambda: len(stream.events) == 5)
    assert len({one["id"] for one in stream.events}) == 5


async def test_a_quiet_stream_beats_and_outlives_a_request(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BEAT_SECONDS", 0.05)
    async with streaming(house) as stream:
        await until(lambda: stream.text.count(b":\n\n") > 3)
        assert not stream.ended


async def test_a_stream_ends_when_its_credential_does(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BEAT_SECONDS", 0.05)
    async with streaming(house) as idle:
        revoke(house)
        await until(lambda: idle.ended)


async def test_nothing_is_told_to_a_credential_that_ended(house: House) -> None:
    async with streaming(house, "after=latest") as stream:
        await until(lambda: stream.text)
        await house.register()
        revoke(house)
        await house.tell()
        await until(lambda: stream.ended)
    assert stream.events == []


async def test_a_stream_ends_when_the_server_is_to_stop(house: House) -> None:
    async with streaming(house) as stream:
        await until(lambda: stream.text)
        house.parts.feed.watch.close()
        await until(lambda: stream.ended)


async def test_a_database_that_is_away_ends_no_stream_and_costs_it_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BEAT_SECONDS", 0.05)
    async with streaming(house, "after=latest") as stream:
        await until(lambda: stream.text)
        real, failed = house.parts.feed.read, [0]

        async def read(*arguments: Any) -> Any:
            failed[0] += 1
            if failed[0] < 4:
                raise DatabaseUnavailable("gone")
            return await real(*arguments)

        monkeypatch.setattr(type(house.parts.feed), "read", staticmethod(read))
        await house.happen()
        await until(lambda: len(stream.events) == 1)
    assert len(stream.events) == 1


async def test_a_reader_that_takes_nothing_is_dropped_and_costs_one_piece(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr("milepost.api.milepost_events.AT_ONCE", 2)
    monkeypatch.setattr(event_stream, "AT_ONCE", 2)
    await house.happen(8)
    async with streaming(house) as stream:
        await until(lambda: stream.text)
        stream.takes.clear()
        sent = stream.sent
        await until(lambda: not readers(house))
        assert stream.sent <= sent + 1


async def test_a_reader_that_hangs_up_makes_room(house: House) -> None:
    async with streaming(house) as stream:
        await until(lambda: readers(house) == 1)
        stream.gone.set()
        await until(lambda: not readers(house))


async def test_a_process_has_its_bound_too(dsn: str, account: int) -> None:
    async with own_api(dsn, account, max_event_readers=0) as (client, _):
        refused = await client.get(EVENTS, Accept="application/json, text/event-stream;q=1")
        assert (refused.status, refused.document["code"]) == (503, "too_many_readers")
        assert int(refused.headers["retry-after"]) > 0
        assert (await client.get(EVENTS)).status == 200
