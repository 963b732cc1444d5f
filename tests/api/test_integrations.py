"""Integrations over the whole API and a real database."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from tests.api.fake_api import Client
from tests.api.own_api import own_api
from tests.api.shops import ALLOW, OWN_PATH, V2_PATH, V3_PATH, conforms, made, patch

from milepost.api.integration_schemas import OWN, V2_INTEGRATION, V3_INTEGRATION
from milepost.db.pool import Pool
from milepost.notifications import integrations


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account, egress_allow=ALLOW) as (one, _):
        yield one


async def test_three_calls_tell_of_one_integration(client: Client) -> None:
    one = await made(
        client, shop_url="https://shop.example/", webhook_url="https://93.184.216.34/hook"
    )
    key = one.pop("signing_key")
    assert key["key"].startswith("whsec_")
    assert (key["library_key"], key["former_key_until"]) == (key["key"], None)
    assert conforms(OWN, one)
    assert (one["webhook_active"], one["type"], one["state"]) == (True, "api", "open")
    which = one["id"]
    assert (await client.get(f"{OWN_PATH}/{which}")).document == one
    assert (await client.get(OWN_PATH)).document == {"data": [one]}

    v2 = (await client.get(f"{V2_PATH}/{which}")).document
    assert conforms(V2_INTEGRATION, v2)
    assert (v2["id"], v2["shop_name"], v2["system"]) == (which, "Blue shop", "api")
    assert (await client.get(V2_PATH)).document == [v2]
    v3 = (await client.get(f"{V3_PATH}/{which}")).document["data"]
    assert conforms(V3_INTEGRATION, v3)
    assert v3 == {name: value for name, value in one.items() if name in v3}
    assert (await client.get(V3_PATH)).document == {"data": [v3]}
    for path in (OWN_PATH, V2_PATH, V3_PATH):
        assert key["key"] not in (await client.get(path)).body.decode()


async def test_lists_are_narrowed_and_ordered(client: Client) -> None:
    first = await made(client, shop_name="b", webhook_url="https://93.184.216.34/hook")
    second = await made(client, shop_name="a", system="magento")
    quiet = (await client.get(f"{OWN_PATH}?webhook_active=false")).document["data"]
    assert [one["id"] for one in quiet] == [second["id"]]
    for query, order in (
        ("ordering=shop_name", [second, first]),
        ("ordering=-shop_name", [first, second]),
        ("ordering=last_fetch", [first, second]),
        ("ordering=", [first, second]),
    ):
        got = (await client.get(f"{V2_PATH}?{query}")).document
        assert [one["id"] for one in got] == [one["id"] for one in order], query
    got = (await client.get(f"{V3_PATH}?sort=-integration_type")).document["data"]
    assert [one["type"] for one in got] == ["magento", "api"]
    assert (await client.get(f"{V3_PATH}?sort=shop")).status == 400
    assert (await client.get(f"{V2_PATH}?ordering=shop")).status == 400
    for query in ("webhook_active=maybe", "active=true"):
        assert (await client.get(f"{OWN_PATH}?{query}")).status == 422


WHOLE = {
    "shop_name": "Red shop",
    "shop_url": "https://red.example",
    "service_point_enabled": True,
    "service_point_carriers": ["ups", "dhl", "ups"],
    "webhook_active": False,
    "webhook_url": None,
}


async def test_each_published_call_changes_what_it_is_given(client: Client) -> None:
    which = (await made(client))["id"]
    got = await client.ask("PUT", f"{V2_PATH}/{which}", orjson.dumps(WHOLE | {"id": 5}))
    assert got.status == 200
    assert got.document.pop("last_updated_at")
    told = got.document
    del told["last_updated_at"]
    assert told == WHOLE | {"service_point_carriers": ["ups", "dhl"]}
    # As Odoo's client does, which names what it changes and nothing else.
    part = await client.ask("PUT", f"{V2_PATH}/{which}", b'{"shop_name": "Red"}')
    assert part.status == 200
    assert part.document | {"last_updated_at": ""} == told | {
        "shop_name": "Red",
        "last_updated_at": "",
    }
    assert (await patch(client, f"{V2_PATH}/{which}", shop_name="Pink")).status == 200
    got = await patch(client, f"{V3_PATH}/{which}", feedback_type="eager", shop_url=None)
    assert (got.status, got.body) == (204, b"")
    v3 = (await client.get(f"{V3_PATH}/{which}")).document["data"]
    assert (v3["shop_name"], v3["shop_url"], v3["feedback_type"]) == ("Pink", None, "eager")
    assert v3["service_point_carriers"] == ["ups", "dhl"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"webhook_active": True}, "webhook_url"),
    ({"webhook_url": "http://10.0.0.1/"}, "webhook_url"),
    ({"webhook_url": "ftp://example.org/"}, "webhook_url"),
    ({"webhook_url": "http://169.254.169.254/latest"}, "webhook_url"),
    ({"shop_url": "javascript:alert(1)"}, "shop_url"),
    ({"shop_name": ""}, "shop_name"),
    ({"shop_name": "x" * 251}, "shop_name"),
    ({"service_point_enabled": True}, "service_point_carriers"),
    ({"service_point_carriers": "ups"}, "service_point_carriers"),
    ({"feedback_type": "never"}, "feedback_type"),
    ({"webhook_active": "yes"}, "webhook_active"),
]


async def test_what_is_wrong_is_named_in_each_form_and_changes_nothing(client: Client) -> None:
    one = await made(client)
    which = one["id"]
    del one["signing_key"]
    for change, field in WRONG:
        v2 = await patch(client, f"{V2_PATH}/{which}", **change)
        assert (v2.status, v2.document["error"]["code"]) == (400, 400), change
        assert field in v2.document["error"]["message"]
        v3 = await patch(client, f"{V3_PATH}/{which}", **change)
        assert (v3.status, v3.document["errors"][0]["status"]) == (400, "400"), change
        assert v3.document["errors"][0]["source"]["pointer"].startswith(f"/{field}")
        own = await patch(client, f"{OWN_PATH}/{which}", **change)
        assert own.status == 422
        assert {problem["loc"][1] for problem in own.document["errors"]} == {field}
    for path, told in ((V2_PATH, "error"), (V3_PATH, "errors")):
        for wrong in (b"[]", b"{"):
            refused = await client.ask("PATCH", f"{path}/{which}", wrong)
            assert (refused.status, list(refused.document)) == (400, [told])
    # The whole document is at fault, which a pointer says by being empty.
    assert refused.document["errors"][0]["source"] == {"pointer": ""}
    unasked = await patch(client, f"{V3_PATH}/{which}", webhook_active=True, webhook_url=None)
    assert unasked.document["errors"][0]["detail"] == (
        "Webhook URL required when enable webhook is set to true"
    )
    assert (await patch(client, f"{OWN_PATH}/{which}", shop="x")).status == 422
    assert (await client.post(OWN_PATH, {"shop_url": "https://x.example"})).status == 422
    assert (await client.get(f"{OWN_PATH}/{which}")).document == one


async def test_another_account_knows_nothing_of_it(
    client: Client, dsn: str, admin_pool: Pool
) -> None:
    which = (await made(client))["id"]
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    async with own_api(dsn, other) as (stranger, _):
        for asked in (which, 10**12, "9" * 30, "x", 0):
            body = orjson.dumps(WHOLE)
            tried = [
                await stranger.ask(verb, f"{path}/{asked}", body)
                for path, verbs in (
                    (V2_PATH, ("GET", "PUT", "PATCH", "DELETE")),
                    (V3_PATH, ("GET", "PATCH", "DELETE")),
                    (OWN_PATH, ("GET", "DELETE")),
                )
                for verb in verbs
            ]
            tried.append(await patch(stranger, f"{OWN_PATH}/{asked}", shop_name="x"))
            tried += [
                await stranger.post(f"{OWN_PATH}/{asked}/{action}", {})
                for action in ("test", "signing-key")
            ]
            assert {one.status for one in tried} == {404}
            assert {one.document["error"]["message"] for one in tried[:4]} == {
                "No Integration matches the given query."
            }
            assert {one.document["errors"][0]["detail"] for one in tried[4:7]} == {
                "The Integration could not be found with the search criteria given"
            }
            assert tried[4].document["errors"][0]["code"] == "not_found"
        for path in (OWN_PATH, V2_PATH, V3_PATH):
            assert (await stranger.get(path)).document in ([], {"data": []})
    assert (await client.get(f"{OWN_PATH}/{which}")).status == 200


async def test_an_answer_with_a_secret_is_not_kept_under_a_key(client: Client) -> None:
    which = (await made(client))["id"]
    for path, body in ((OWN_PATH, {"shop_name": "x"}), (f"{OWN_PATH}/{which}/signing-key", {})):
        got = await client.post(path, body, idempotency_key="once")
        assert (got.status, got.document["errors"][0]["type"]) == (
            422,
            "idempotency_key_unsupported",
        )
    assert len((await client.get(OWN_PATH)).document["data"]) == 1
    path = f"{V2_PATH}/{which}"
    first, again = [
        await client.ask("PATCH", path, b'{"shop_name": "y"}', {"idempotency-key": "twice"})
        for _ in range(2)
    ]
    assert (first.status, first.body) == (again.status, again.body)


async def test_there_is_a_bound(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrations, "MOST", 1)
    which = (await made(client))["id"]
    assert (await client.post(OWN_PATH, {"shop_name": "x"})).status == 409
    await client.ask("DELETE", f"{V2_PATH}/{which}")
    await made(client)
