"""What integrations hear: of themselves, of parcels, when tried; and the keys that sign it."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from standardwebhooks import Webhook
from tests.api.event_subscriptions import connect
from tests.api.fake_api import Client
from tests.api.own_api import own_api
from tests.api.samples import POST, V2, registration
from tests.api.shops import (
    ALLOW,
    OWN_PATH,
    V2_PATH,
    V3_PATH,
    conforms,
    deliver,
    heard,
    made,
    patch,
)
from tests.notifications.receiver import Receiver, receiving

from milepost.accounts.gatekeeper import Caller
from milepost.accounts.secret_keys import SecretKeys
from milepost.api.webhook_schemas import INTEGRATION
from milepost.db.pool import Pool, tenant
from milepost.notifications import integrations
from milepost.notifications.sealing import Seals
from milepost.notifications.signing import MOST_FORMER_KEYS, SigningKeys, sendcloud_signature
from milepost.wiring import ApiParts

OWN = "/api/milepost/v1"
OLD_SECRET = "0123456789abcdef"


@pytest.fixture
async def api(dsn: str, account: int) -> AsyncIterator[tuple[Client, ApiParts]]:
    async with own_api(dsn, account, egress_allow=ALLOW) as made:
        yield made


@pytest.fixture
def client(api: tuple[Client, ApiParts]) -> Client:
    return api[0]


@pytest.fixture
async def shop() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def test_a_shop_hears_what_is_done_with_it_and_of_its_end(
    api: tuple[Client, ApiParts], worker_pool: Pool, account: int, shop: Receiver
) -> None:
    client, parts = api
    one = await made(client, webhook_url=shop.url)
    await deliver(worker_pool, parts, account)
    ((headers, body),) = shop.got
    told = json.loads(body)
    assert told["action"] == "integration_connected"
    assert conforms(INTEGRATION, told["integration"])
    assert told["integration"]["webhook_url"] == shop.url
    assert headers["webhook-id"].startswith("integration_")
    Webhook(one["signing_key"]["key"]).verify(body, headers)
    shop.got.clear()

    path = f"{V3_PATH}/{one['id']}"
    assert (await patch(client, path, shop_name="Blue shop")).status == 204
    await deliver(worker_pool, parts, account)
    assert heard(shop) == [], "nothing was different"
    await patch(client, path, shop_name="Pink shop")
    await deliver(worker_pool, parts, account)
    assert heard(shop) == ["integration_updated"]

    shop.status = 500
    await client.post(POST, registration("SBX1", source_id="1"))
    await deliver(worker_pool, parts, account)
    assert heard(shop) == ["parcel_status_changed"]
    shop.status = 200
    assert (await client.ask("DELETE", path)).status == 204
    for gone in (OWN_PATH, V2_PATH, V3_PATH):
        assert (await client.get(f"{gone}/{one['id']}")).status == 404
        assert (await client.get(gone)).document in ([], {"data": []})
    assert (await client.ask("DELETE", path)).status == 404
    for action in ("test", "signing-key"):
        assert (await client.post(f"{OWN_PATH}/{one['id']}/{action}", {})).status == 404
    await client.post(POST, registration("SBX2", source_id="2"))
    assert await integrations.forget_deleted(worker_pool, account) == 0, "it is not told yet"
    await deliver(worker_pool, parts, account)
    assert heard(shop) == ["integration_deleted"]
    assert await integrations.forget_deleted(worker_pool, account) == 1
    async with tenant(worker_pool, account) as conn:
        for table in ("connection", "delivery_lane", "delivery", "delivery_attempt"):
            assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_shop_that_is_not_active_hears_nothing_and_goes_at_once(
    api: tuple[Client, ApiParts], worker_pool: Pool, account: int, shop: Receiver
) -> None:
    client, parts = api
    one = await made(client, webhook_url=shop.url, webhook_active=False)
    await patch(client, f"{V3_PATH}/{one['id']}", shop_name="Pink")
    await client.post(POST, registration("SBX1", source_id="1"))
    await client.ask("DELETE", f"{V3_PATH}/{one['id']}")
    await deliver(worker_pool, parts, account)
    assert heard(shop) == []
    assert await integrations.forget_deleted(worker_pool, account) == 1


async def test_keys_are_brought_made_and_rotated_and_shown_once(
    api: tuple[Client, ApiParts], worker_pool: Pool, account: int, shop: Receiver
) -> None:
    client, parts = api
    one = await made(client, webhook_url=shop.url, signing_key=OLD_SECRET)
    assert one["signing_key"]["key"] == OLD_SECRET
    await deliver(worker_pool, parts, account)
    ((headers, body),) = shop.got
    dumped = json.dumps(json.loads(body)).encode()
    for form in (body, dumped):
        assert headers["Sendcloud-Signature"] == sendcloud_signature(OLD_SECRET, form)
    shop.got.clear()

    path = f"{OWN_PATH}/{one['id']}/signing-key"
    rotated = await client.post(path, {})
    assert (rotated.status, rotated.headers["cache-control"]) == (200, "private, no-store")
    new = rotated.document
    assert new["key"].startswith("whsec_")
    assert new["former_key_until"] is not None
    shown = (await client.get(f"{OWN_PATH}/{one['id']}")).document
    assert shown["former_key_until"] == new["former_key_until"]
    await patch(client, f"{V2_PATH}/{one['id']}", shop_name="Pink shop")
    await deliver(worker_pool, parts, account)
    ((headers, body),) = shop.got
    for library_key in (new["library_key"], one["signing_key"]["library_key"]):
        Webhook(library_key).verify(body, headers)
    assert headers["Sendcloud-Signature"] == sendcloud_signature(new["key"], body)

    again = (await client.post(path, {"key": new["key"]})).document
    assert again["former_key_until"] == new["former_key_until"], "the same key changes nothing"
    third = (await client.post(path, {})).document
    shop.got.clear()
    await patch(client, f"{V2_PATH}/{one['id']}", shop_name="Yellow shop")
    await deliver(worker_pool, parts, account)
    ((headers, body),) = shop.got
    for shown_key in (third, new, one["signing_key"]):
        Webhook(shown_key["library_key"]).verify(body, headers)
    for wrong in ("short", " 0123456789abcdef", "whsec_!", 5):
        refused = await client.post(path, {"key": wrong})
        assert (refused.status, refused.document["errors"][0]["loc"]) == (422, ["body", "key"])
    refused = await client.post(OWN_PATH, {"shop_name": "x", "signing_key": "short"})
    assert refused.document["errors"][0]["loc"] == ["body", "signing_key"]
    assert (await client.post(path, {"other": 1})).status == 422
    async with tenant(worker_pool, account) as conn:
        kept = [tuple(row) for row in await conn.fetch("SELECT * FROM connection")]
        noted = [tuple(row) for row in await conn.fetch("SELECT actor, action, detail FROM audit")]
        answers = await conn.fetchval("SELECT count(*) FROM idempotency_key")
    for secret in (OLD_SECRET, new["key"]):
        assert secret not in f"{kept} {noted}"
        assert secret.encode() not in b"".join(x for row in kept for x in row if type(x) is bytes)
    assert ("key:1", "connection.signing_key", {"connection_id": one["id"]}) in noted
    assert answers == 0


async def test_a_test_is_sent_at_once_and_told_whatever_came(
    client: Client, shop: Receiver, worker_pool: Pool, account: int
) -> None:
    one = await made(client, webhook_url=shop.url, webhook_active=False)
    shop.status, shop.answer = 503, "x" * 3000
    got = await client.post(f"{OWN_PATH}/{one['id']}/test", {})
    assert got.document == {"success": False, "status_code": 503, "response_body": "x" * 2000}
    ((headers, body),) = shop.got
    assert json.loads(body)["action"] == "test_webhook"
    Webhook(one["signing_key"]["key"]).verify(body, headers)
    assert (await client.post(f"{OWN_PATH}/{one['id']}/test", {})).status == 429
    async with tenant(worker_pool, account) as conn:
        await conn.execute("UPDATE delivery_lane SET state = state")
        assert await conn.fetchval("SELECT count(*) FROM delivery") == 0
    other = await made(client)
    no_address = await client.post(f"{OWN_PATH}/{other['id']}/test", {})
    assert (no_address.status, no_address.document["code"]) == (422, "missing")


async def test_a_parcel_is_of_the_integration_it_names_else_of_its_keys_else_of_all(
    dsn: str, account: int, worker_pool: Pool, shop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_api(dsn, account, egress_allow=ALLOW) as (client, parts), receiving() as second:
        mine = (await made(client, webhook_url=shop.url))["id"]
        other = (await made(client, webhook_url=second.url))["id"]
        deleted = (await made(client))["id"]
        await client.ask("DELETE", f"{V2_PATH}/{deleted}")
        await deliver(worker_pool, parts, account)
        for receiver in (shop, second):
            assert heard(receiver) == ["integration_connected"]

        async def register(number: str, **details: Any) -> Any:
            body = registration(number, source_id=number, details=details)
            assert (await client.post(POST, body)).status == 200
            await deliver(worker_pool, parts, account)
            return len(heard(shop)), len(heard(second))

        assert await register("SBX1", integration_id=mine) == (1, 0)
        assert await register("SBX2", integration_id=987_654) == (1, 1)
        assert await register("SBX3", integration_id=deleted) == (1, 1)
        assert await register("SBX4") == (1, 1)
        keys: Any = parts.gatekeeper
        ask = keys.from_header

        async def bound(authorization: bytes | None) -> Caller:
            caller: Caller = await ask(authorization)
            return replace(caller, integration_id=other)

        monkeypatch.setattr(keys, "from_header", bound)
        assert await register("SBX5") == (0, 1)
        assert await register("SBX6", integration_id=mine) == (1, 0)
        row = orjson.dumps([registration("SBX7", source_id="7")])
        batch = await client.ask("POST", "/api/milepost/v1/parcels/batch", row)
        assert batch.document["registered"] == 1
        await deliver(worker_pool, parts, account)
        assert (heard(shop), heard(second)) == ([], ["parcel_status_changed"])
        for number in ("SBX5", "SBX7"):
            found = await client.get(f"/api/v3/parcels/tracking/{number}")
            assert found.document["details"]["integration_id"] == other
        assert (await client.get(f"{V2}SBX5")).status == 200
        # Whoever is switched off hears nothing of its own, and nobody else does.
        await patch(client, f"{V2_PATH}/{other}", webhook_active=False)
        assert await register("SBX8") == (0, 0)


async def test_a_webhooks_key_is_rotated_under_its_own_path_only(
    api: tuple[Client, ApiParts], account: int
) -> None:
    client, parts = api
    hook, mine = await connect(client), (await made(client))["id"]
    rotated = await client.post(f"{OWN}/connections/{hook}/signing-key", {"key": OLD_SECRET})
    assert (rotated.status, rotated.document["key"]) == (200, OLD_SECRET)
    async with tenant(parts.core.pool, account) as conn:
        row = await conn.fetchrow(
            "SELECT signing_key, former_key FROM connection WHERE connection_id = $1", hook
        )
    assert row is not None
    keys = Seals(parts.core.secret_keys, account, hook).open_keys(*row)
    assert keys is not None
    assert (keys.current, len(keys.in_force(datetime.now(UTC)))) == (OLD_SECRET, 2)
    for path in (f"connections/{mine}", f"integrations/{hook}", "connections/x"):
        assert (await client.post(f"{OWN}/{path}/signing-key", {})).status == 404, path


async def test_a_key_that_cannot_be_opened_any_more_is_replaced(
    api: tuple[Client, ApiParts], account: int
) -> None:
    client, parts = api
    which = (await made(client))["id"]
    sealed = Seals(SecretKeys((b"another" * 8,)), account, which).seal_key(OLD_SECRET)
    async with tenant(parts.core.pool, account) as conn:
        await conn.execute("UPDATE connection SET signing_key = $1", sealed)
    rotated = await client.ask("POST", f"{OWN_PATH}/{which}/signing-key")
    assert (rotated.status, rotated.document["former_key_until"]) == (200, None)
    async with tenant(parts.core.pool, account) as conn:
        await conn.execute("UPDATE connection SET former_key = $1", sealed)
        present = await conn.fetchval("SELECT signing_key FROM connection")
    keys = Seals(parts.core.secret_keys, account, which).open_keys(present, sealed)
    assert keys == SigningKeys(rotated.document["key"]), "the present one signs alone"


async def test_no_key_ends_early_for_another_one(api: tuple[Client, ApiParts]) -> None:
    """Eight may be replaced within 24 hours; then it is said from when on there is room."""
    client, _ = api
    path = f"{OWN_PATH}/{(await made(client))['id']}/signing-key"
    answers = [await client.post(path, {}) for _ in range(MOST_FORMER_KEYS + 1)]
    assert [one.status for one in answers] == [200] * MOST_FORMER_KEYS + [409]
    assert "another key can be set from" in answers[-1].document["detail"]
    assert (await client.post(path, {"key": answers[-2].document["key"]})).status == 200
