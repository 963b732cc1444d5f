"""Trying a subscription: one example at once, and what came of it."""

import json
import time
from types import SimpleNamespace

import pytest
from standardwebhooks import Webhook
from tests.api.event_subscriptions import CANARY, CONNECTIONS, ROOT, connect, patch, subscribe, told
from tests.api.own_api import own_api
from tests.api.samples import POST, V2, registration
from tests.notifications.receiver import receiving

from milepost.api import deadlines
from milepost.db.pool import Pool, tenant
from milepost.notifications.sealing import Seals

LOOPBACK = "127.0.0.0/8:*"


async def test_a_test_sends_the_example_at_once(dsn: str, account: int, app_pool: Pool) -> None:
    async with (
        receiving() as receiver,
        own_api(dsn, account, egress_allow=LOOPBACK) as (client, parts),
    ):
        connection = await connect(client, url=receiver.url)
        path = f"{ROOT}/broadcast/test/{await subscribe(client, connection)}"
        receiver.answer = "é" * 3000
        answer = await client.ask("POST", path)
        assert answer.status == 200
        result = answer.document["data"]
        assert (result["success"], result["status_code"]) == (True, 200)
        assert "é" * 900 in result["response_body"]
        assert len(result["response_body"]) <= 2000
        (headers, body) = receiver.got[0]
        assert headers["Milepost-Test"] == "true"
        assert headers["Authorization"] == f"Bearer {CANARY}-token"
        assert headers["X-Shop"] == f"{CANARY}-header"
        async with tenant(parts.core.pool, account) as conn:
            sealed = await conn.fetchval("SELECT signing_key FROM connection")
        keys = Seals(parts.core.secret_keys, account, connection).open_keys(sealed, None)
        assert keys is not None
        Webhook(keys.current).verify(body, headers)
        told_event = json.loads(body)
        assert told_event["data"]["parcel"]["tracking_number"] == "3SYZXG132912330"
        assert told_event["data"]["parcel"]["parcel_id"] == 12345678

        again = await client.ask("POST", path)
        assert (again.status, again.body) == (429, b"")
        assert 1 <= int(again.headers["retry-after"]) <= 10
        async with tenant(app_pool, account) as conn:
            noted = await conn.fetch("SELECT * FROM audit WHERE action = 'connection.tested'")
        assert (len(receiver.got), len(noted)) == (1, 1)


async def test_the_example_is_no_parcel_of_whoever_is_sent_it(
    dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        receiving() as receiver,
        own_api(dsn, account, egress_allow=LOOPBACK) as (client, _),
    ):
        await client.post(POST, registration())
        own_id = (await client.get(f"{V2}3S1")).document["parcel_id"]
        monkeypatch.setattr("milepost.notifications.sample.PARCEL_ID", int(own_id))
        subscription = await subscribe(client, await connect(client, url=receiver.url))
        await client.ask("POST", f"{ROOT}/broadcast/test/{subscription}")
        ((headers, body),) = receiver.got
        assert json.loads(body)["data"]["parcel"]["parcel_id"] == 0
        assert headers["Milepost-Sequence"] == "1"


async def test_a_test_that_fails_is_told_with_200(
    dsn: str, account: int, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milepost.notifications.trial.EVERY_SECONDS", 0)
    async with (
        receiving() as receiver,
        own_api(dsn, account, egress_allow=LOOPBACK) as (client, _),
    ):
        receiver.status, receiver.answer = 500, "no"
        hook = await connect(client, url=receiver.url, payload_form="cloudevents")
        path = f"{ROOT}/broadcast/test/{await subscribe(client, hook)}"
        answer = await client.ask("POST", path)
        assert (answer.status, answer.document["data"]) == (
            200,
            {"success": False, "status_code": 500, "response_body": "no"},
        )
        assert json.loads(receiver.got[0][1])["specversion"] == "1.0"
        gone = {"url": "http://127.0.0.1:9", "auth_type": "none", "extra_headers": {}}
        moved = await patch(client, f"{CONNECTIONS}/{hook}", {"configuration": gone})
        assert moved.status == 200
        refused = (await client.ask("POST", path)).document["data"]
        assert (refused["success"], refused["status_code"]) == (False, 0)
        assert refused["response_body"].startswith("Not delivered: connect")
    # The operator has changed his mind: nothing of the answer is told, as there is none.
    async with receiving() as receiver, own_api(dsn, account) as (client, _):
        await admin_pool.execute("UPDATE connection SET url = $1", receiver.url)
        forbidden = (await client.ask("POST", path)).document["data"]
        assert (forbidden["success"], forbidden["status_code"]) == (False, 0)
        assert "MILEPOST_EGRESS_ALLOW" in forbidden["response_body"]
        assert receiver.got == []
        made = await client.post(CONNECTIONS, {"type": "klaviyo", "configuration": {}})
        klaviyo = made.document["data"]["id"]
        authorized = await client.ask("POST", f"{CONNECTIONS}/{klaviyo}/authorization")
        assert (authorized.status, told(authorized)) == (400, [("/data/type", "invalid")])
        assert "no Klaviyo application" in authorized.document["errors"][0]["detail"]
        path = f"{ROOT}/broadcast/test/{await subscribe(client, klaviyo)}"
        nothing = (await client.ask("POST", path)).document["data"]
        assert (nothing["success"], nothing["status_code"]) == (False, 0)


async def test_a_test_may_take_longer_than_a_request_of_ours(
    dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by more than a request has once the receiver is asked."""
    async with (
        receiving() as receiver,
        own_api(dsn, account, egress_allow=LOOPBACK) as (client, parts),
    ):
        subscription = await subscribe(client, await connect(client, url=receiver.url))
        more = parts.core.settings.request_seconds + 1

        def monotonic() -> float:
            return time.monotonic() + (more if receiver.got else 0)

        monkeypatch.setattr(deadlines, "time", SimpleNamespace(monotonic=monotonic))
        # Whose time is over is cut off by then.
        receiver.delay = 5 * deadlines.PRECISION_SECONDS
        answer = await client.ask("POST", f"{ROOT}/broadcast/test/{subscription}")
        assert (answer.status, answer.document["data"]["success"]) == (200, True)
