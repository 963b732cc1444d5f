"""``/connections`` and ``/deliveries``: the log, replays, pause and resume; nobody else's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from tests.api.fake_api import Client
from tests.api.own_api import own_api
from tests.notifications.subscriber import Subscriber, broken
from tests.notifications.test_deliver import ALL, deliverer, drain, journeys
from tests.notifications.town import Town, say

from milepost.api.milepost_delivery_schemas import COMPONENTS
from milepost.api.v3_schemas import Schema
from milepost.db.pool import Pool
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Form
from milepost.wire.moments import v3_moment

OWN = "/api/milepost/v1"


@asynccontextmanager
async def open_town(dsn: str, account: int, pool: Pool) -> AsyncIterator[tuple[Client, Town]]:
    """The API of an account, and the account."""
    async with own_api(dsn, account) as (client, parts):
        core = parts.core
        fan_out = FanOut(pool, core.renderer, say)
        yield client, Town(pool, account, core.registrar, core.recorder, fan_out)


def check(name: str, document: Any) -> None:
    """Against the schema that is published."""
    definitions = {"components": {"schemas": COMPONENTS}}
    schema: Schema = {"$ref": f"#/components/schemas/{name}", **definitions}
    jsonschema.validate(document, schema)


async def test_the_log_is_read_replayed_and_steered(
    dsn: str, account: int, worker_pool: Pool
) -> None:
    async with open_town(dsn, account, worker_pool) as (client, town):
        connection = await town.connect("webhook", Form.EVENT, ALL)
        place = f"{OWN}/connections/{connection}"
        first, second = await journeys(town, 2)
        await drain(town, deliverer(town, Subscriber(broken)))
        page = (await client.get(f"{place}/deliveries?limit=5&state=failed")).document
        assert len(page["data"]) == 5
        rest = await client.get(
            f"{place}/deliveries?limit=5&state=failed&cursor={page['next_cursor']}"
        )
        assert [len(rest.document["data"]), rest.document["next_cursor"]] == [3, None]
        mine = (await client.get(f"{place}/deliveries?parcel_id={second}")).document["data"]
        assert {one["parcel_id"] for one in mine} == {str(second)}
        for one in page["data"]:
            check("Delivery", one)
        whole = (await client.get(f"{OWN}/deliveries/{mine[0]['delivery_id']}")).document
        check("LoggedDelivery", whole)
        assert (len(whole["tries"]), whole["tries"][0]["status"]) == (6, 500)
        assert whole["request_body"].startswith('["sendcloud_v3",')

        paused = await client.post(f"{place}/pause", {})
        check("ConnectionHealth", paused.document)
        assert (paused.document["state"], paused.document["reason"]) == ("paused", "paused by hand")
        again = await client.post(f"{OWN}/deliveries/{mine[0]['delivery_id']}/replay", {})
        check("Delivery", again.document)
        assert (again.document["state"], again.document["attempts"]) == ("pending", 0)
        since = v3_moment(datetime.now(UTC) - timedelta(minutes=5))
        done = await client.post(f"{place}/replay", {"since": since, "state": "failed"})
        assert done.document == {"replayed": 7, "next_cursor": None}
        subscriber = Subscriber()
        assert await drain(town, deliverer(town, subscriber)) == 0
        resumed = (await client.post(f"{place}/resume", {})).document
        assert (resumed["state"], resumed["pending"]["deliveries"]) == ("open", 8)
        await drain(town, deliverer(town, subscriber))
        assert subscriber.of(first) == subscriber.of(second) == [1, 2, 3, 4]
        well = (await client.get(f"{place}/health")).document
        assert (well["pending"]["deliveries"], well["recent"]["delivered"]) == (0, 8)
        assert (await client.get(f"{OWN}/connections")).document["data"] == [well]


async def test_a_replay_asked_for_twice_under_a_key_is_one(
    dsn: str, account: int, worker_pool: Pool
) -> None:
    async with open_town(dsn, account, worker_pool) as (client, town):
        connection = await town.connect("webhook", Form.EVENT, ALL)
        await journeys(town, 1)
        worker = deliverer(town, subscriber := Subscriber())
        await drain(town, worker)
        (last, *_) = (await client.get(f"{OWN}/connections/{connection}/deliveries")).document[
            "data"
        ]
        answers = []
        for _ in range(2):
            path = f"{OWN}/deliveries/{last['delivery_id']}/replay"
            answers.append((await client.post(path, {}, idempotency_key="k")).body)
            await drain(town, worker)
        assert answers[0] == answers[1]
        assert len(subscriber.told) == 5


async def test_of_another_account_there_is_nothing(
    dsn: str, account: int, admin_pool: Pool, worker_pool: Pool
) -> None:
    statement = "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    other = int(await admin_pool.fetchval(statement))
    async with (
        open_town(dsn, account, worker_pool) as (mine, town),
        own_api(dsn, other) as (theirs, _),
    ):
        connection = await town.connect("webhook", Form.EVENT, ALL)
        await journeys(town, 1)
        path = f"{OWN}/connections/{connection}"
        (delivery, *_) = (await mine.get(f"{path}/deliveries")).document["data"]
        one = f"{OWN}/deliveries/{delivery['delivery_id']}"
        for place in (f"{path}/health", f"{path}/deliveries", one):
            got = await theirs.get(place)
            assert (got.status, got.headers["content-type"]) == (404, "application/problem+json")
        since = {"since": "2026-01-01"}
        for place in (f"{path}/pause", f"{path}/resume", f"{path}/replay", f"{one}/replay"):
            assert (await theirs.post(place, since)).status == 404
        assert (await theirs.get(f"{OWN}/connections")).document["data"] == []
        health = (await mine.get(f"{path}/health")).document
        assert (health["state"], health["pending"]["deliveries"]) == ("open", 4)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=gone", "state"),
        ("parcel_id=x", "parcel_id"),
        ("since=yesterday", "since"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("sort=x", "sort"),
        ("limit=1&limit=2", "limit"),
    ],
)
async def test_what_is_asked_wrongly_is_refused(
    dsn: str, account: int, query: str, field: str
) -> None:
    async with own_api(dsn, account) as (client, _):
        got = await client.get(f"{OWN}/connections/1/deliveries?{query}")
        assert (got.status, got.document["errors"][0]["loc"]) == (422, ["query", field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ["body", "since"]),
        ([], ["body"]),
        ({"since": 5}, ["body", "since"]),
        ({"since": "2026-01-01", "state": "pending"}, ["body", "state"]),
        ({"since": "2026-01-01", "cursor": 5}, ["body", "cursor"]),
        ({"since": "2026-01-01", "cursor": False}, ["body", "cursor"]),
        ({"since": "2026-01-01", "until": "2026-01-02"}, ["body", "until"]),
    ],
)
async def test_a_wrong_replay_is_refused(
    dsn: str, account: int, body: Any, field: list[str]
) -> None:
    async with own_api(dsn, account) as (client, _):
        got = await client.post(f"{OWN}/connections/1/replay", body)
        assert (got.status, got.document["errors"][0]["loc"]) == (422, field)
