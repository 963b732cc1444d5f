"""Webhooks that did not arrive, as the published integrations calls list them."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.api.fake_api import Client
from tests.api.own_api import own_api
from tests.api.samples import POST, registration
from tests.api.shops import ALLOW, OWN_PATH, V2_PATH, V3_PATH, conforms, deliver, made
from tests.notifications.receiver import Receiver, receiving

from milepost.api.integration_log_schemas import V2_LOG, V3_LOG
from milepost.db.pool import Pool, tenant
from milepost.wiring import ApiParts


@pytest.fixture
async def api(dsn: str, account: int) -> AsyncIterator[tuple[Client, ApiParts]]:
    async with own_api(dsn, account, egress_allow=ALLOW, public_url="https://m.example/") as made:
        yield made


@pytest.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def test_what_did_not_arrive_is_listed_until_a_reader_has_seen_it_all(
    api: tuple[Client, ApiParts], worker_pool: Pool, account: int, shop: Receiver
) -> None:
    client, parts = api
    one = await made(client, webhook_url=shop.url)
    other = await made(client, shop_name="Red shop", webhook_url=f"{shop.url}/nowhere")
    await client.post(POST, registration())
    await deliver(worker_pool, parts, account)
    assert (await client.get(f"{V3_PATH}/{one['id']}/logs")).document == {"data": []}
    of_other = (await client.get(f"{V3_PATH}/{other['id']}/logs")).document["data"]
    first, *_ = of_other
    assert all(conforms(V3_LOG, log) for log in of_other)
    actions = {log["request"]["payload"]["action"] for log in of_other}
    assert actions <= {"integration_connected", "parcel_status_changed"}
    assert (first["integration_id"], first["response_code"]) == (other["id"], 404)
    assert first["full_url"] == f"{shop.url}/nowhere"
    assert first["full_url"].startswith(f"{first['base_url']}/")
    assert "Sendcloud-Signature" in first["request"]["headers"]
    assert "404" in first["response"]["body"]
    assert other["signing_key"]["key"] not in str(of_other)

    shop.status, shop.answer = 500, "no room"
    await client.ask("POST", f"{OWN_PATH}/{one['id']}/test")
    await client.ask("PATCH", f"{OWN_PATH}/{one['id']}", b'{"shop_name": "Green shop"}')
    await deliver(worker_pool, parts, account)
    everything = (await client.get(f"{V3_PATH}/logs")).document["data"]
    assert everything[0]["response"] == {"headers": None, "body": "no room"}
    assert everything[0]["integration_id"] == one["id"], "the last first; a test is no delivery"
    assert everything[1:] == of_other
    assert await _read(client, f"{V3_PATH}/logs?page_size=1") == everything
    v2 = (await client.get(f"{V2_PATH}/logs")).document
    assert (v2["next"], v2["previous"]) == (None, None)
    assert all(conforms(V2_LOG, log) for log in v2["results"])
    assert [log["id"] for log in v2["results"]] == [log["id"] for log in everything]
    only = (await client.get(f"{V2_PATH}/{one['id']}/logs")).document["results"]
    assert [log["integration_id"] for log in only] == [one["id"]]

    async with tenant(worker_pool, account) as conn:
        await conn.execute(
            "UPDATE delivery_attempt SET started_at = '2026-01-06T10:00:00Z' WHERE account_id = $1",
            account,
        )
    at_once = await _read(client, f"{V3_PATH}/logs?page_size=1")
    assert len(at_once) == len(everything), "what failed in one moment is on one page"


async def _read(client: Client, path: str) -> list[Any]:
    """All pages, as a client follows them."""
    found = []
    while path:
        page = await client.get(path)
        found += page.document["data"]
        link = page.headers.get("link", "")
        assert not link or link.endswith('>; rel="next"')
        following = urlsplit(link.partition(">")[0].removeprefix("<"))
        assert following.netloc in ("", "m.example")
        path = f"{following.path}?{following.query}" if link else ""
    return found


async def test_what_is_asked_wrongly_is_refused_in_each_form(
    api: tuple[Client, ApiParts],
) -> None:
    client, _ = api
    for wrong in (
        "cursor=yesterday",
        "page_size=0",
        "page_size=101",
        "page_size=0101",
        "page_size=0001" + "9" * 5000,
        "page_size=x",
        "page_size=-1",
    ):
        refused = await client.get(f"{V3_PATH}/logs?{wrong}")
        (error,) = refused.document["errors"]
        assert (refused.status, error["code"]) == (400, "invalid"), wrong
        assert error["source"] == {"parameter": wrong.partition("=")[0]}
    assert (await client.get(f"{V3_PATH}/logs?cursor=2026-01-01T00:00:00+01:00")).status == 200
    assert (await client.get(f"{V2_PATH}/logs?cursor=yesterday")).document["error"]
    for path in (f"{V2_PATH}/77/logs", f"{V3_PATH}/77/logs", f"{V3_PATH}/x/logs"):
        assert (await client.get(path)).status == 404
    assert (await client.post(f"{V3_PATH}/77/logs", {"base_url": "x"})).status == 405
    documented = (await client.get("/openapi.json")).document["paths"]
    for path in (V2_PATH, V3_PATH):
        assert set(documented[f"{path}/logs"]) == {"get"}
        assert set(documented[f"{path}/{{integration_id}}/logs"]) == {"get"}
