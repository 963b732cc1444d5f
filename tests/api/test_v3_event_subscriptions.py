"""The Event Subscriptions API on a real database: as published, and nobody else's."""

import json
from typing import Any

import pytest
import structlog
from tests.api.event_subscriptions import (
    CANARY,
    CONNECTIONS,
    HOOK,
    ROOT,
    SUBSCRIPTIONS,
    connect,
    of,
    patch,
    subscribe,
    told,
)
from tests.api.fake_api import Client
from tests.api.own_api import own_api

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool, tenant
from milepost.notifications import connections, subscriptions
from milepost.notifications.sealing import Seals
from milepost.wiring import ApiParts


async def seen(pool: Pool, account: int, statement: str, *given: Any) -> Any:
    async with tenant(pool, account) as conn:
        return await conn.fetchval(statement, *given)


async def test_a_connection_lives_and_keeps_its_secrets(
    dsn: str, account: int, app_pool: Pool
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with own_api(dsn, account) as (client, parts):
            await _lives(client, parts, account)
    async with tenant(app_pool, account) as conn:
        audited = await conn.fetch("SELECT action, actor, detail FROM audit ORDER BY audit_id")
        assert [row["action"] for row in audited] == [
            "connection.created",
            *["connection.changed"] * 3,
            "connection.created",
            "connection.deleted",
        ]
    assert CANARY not in str([dict(row) for row in audited])
    assert CANARY not in str(logs)


async def _lives(client: Client, parts: ApiParts, account: int) -> None:
    answers = [await client.post(CONNECTIONS, {"type": "webhook", "configuration": HOOK})]
    made = answers[0].document["data"]
    assert (answers[0].status, made["type"]) == (201, "webhook")
    assert made["configuration"] == {
        "url": HOOK["url"],
        "auth_type": "bearer",
        "extra_headers": {"X-Shop": "***"},
        "payload_form": "sendcloud_v3",
    }
    path = f"{CONNECTIONS}/{made['id']}"
    lane = "SELECT count(*) FROM delivery_lane WHERE connection_id = $1 AND state = 'open'"
    assert await seen(parts.core.pool, account, lane, made["id"]) == 1

    async def secrets() -> Any:
        async with tenant(parts.core.pool, account) as conn:
            row = await conn.fetchrow("SELECT sealed, signing_key FROM connection")
        assert row is not None
        assert CANARY.encode() not in row["sealed"]
        seals = Seals(SecretKeys((b"0" * 64,)), account, made["id"])
        assert seals.open_keys(row["signing_key"], None), "it has a key from the beginning"
        return seals.open(row["sealed"])

    answers.append(await patch(client, path, {"configuration": {"url": "https://b.example/"}}))
    lost = [(f"/data/configuration/{one}", "required") for one in ("auth_config", "extra_headers")]
    assert told(answers[-1]) == lost, "another server is not told the login of the first"
    there = "https://shop.example/other"
    answers.append(await patch(client, path, {"configuration": {"url": there}}))
    assert answers[-1].document["data"]["configuration"]["url"] == there
    assert (await secrets()).auth_config == HOOK["auth_config"], "what is not given stays"
    login = {"header_name": "X-Api-Key", "api_key": f"{CANARY}-key"}
    headers = {"X-Shop": "***", "X-More": f"{CANARY}-more"}
    change = {"auth_type": "api_key", "auth_config": login, "extra_headers": headers}
    answers.append(await patch(client, path, {"configuration": change}))
    assert answers[-1].document["data"]["configuration"]["url"] == there
    kept = await secrets()
    assert kept.auth_config == login
    assert kept.extra_headers == {"X-Shop": f"{CANARY}-header", "X-More": f"{CANARY}-more"}
    # What a client got it may send back.
    answers.append(await patch(client, path, answers[-1].document["data"]))
    assert (answers[-1].status, await secrets()) == (200, kept)

    answers.append(await client.post(CONNECTIONS, {"type": "klaviyo", "configuration": {}}))
    assert answers[-1].document["data"]["configuration"] == {}
    for query, types in (
        ("", ["webhook", "klaviyo"]),
        ("?connection_type=webhook", ["webhook"]),
        ("?connection_type=klaviyo", ["klaviyo"]),
    ):
        answers.append(await client.get(CONNECTIONS + query))
        assert [one["type"] for one in answers[-1].document["data"]] == types
    answers.append(await client.get(path))
    assert answers[-1].headers["cache-control"] == "private, no-store", "it is its caller's alone"
    answers.append(await patch(client, path, {"type": "klaviyo"}))
    assert told(answers[-1]) == [("/data/type", "invalid")]
    answers.append(await patch(client, path, {"configuration": {"auth_config": {"tokne": CANARY}}}))
    assert told(answers[-1]) == [("/data/configuration/auth_config/tokne", "unknown_field")]
    assert CANARY not in str([(one.headers, one.body) for one in answers])
    gone = await client.ask("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    assert (await client.get(path)).status == 404


REFUSED: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({}, [("/data/type", "required"), ("/data/configuration", "required")]),
    ({"type": "fax", "configuration": {}}, [("/data/type", "invalid_choice")]),
    ({"type": "webhook", "configuration": None}, [("/data/configuration", "null")]),
    ({"type": "webhook", "configuration": {}}, [("/data/configuration/url", "required")]),
    ({"type": "klaviyo", "configuration": {"url": "x"}}, [("/data/configuration", "invalid")]),
]
OF_CONFIGURATION: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"url": "example"}, [("url", "invalid")] * 2),
    ({"url": "http://127.0.0.1/"}, [("url", "invalid")] * 2),
    ({"url": 7}, [("url", "invalid")]),
    ({"auth_type": "digest"}, [("auth_type", "invalid_choice")]),
    ({"auth_config": {}}, [("auth_config/token", "required")]),
    (
        {"auth_type": "basic", "auth_config": {"username": "a:b"}},
        [("auth_config/password", "required")],
    ),
    (
        {"auth_type": "basic", "auth_config": {"username": "a:b", "password": "c"}},
        [("auth_config/username", "invalid")],
    ),
    (
        {"auth_type": "api_key", "auth_config": {"header_name": "Host", "api_key": "x"}},
        [("auth_config", "invalid")],
    ),
    ({"auth_type": "none"}, [("auth_config/token", "unknown_field")]),
    ({"extra_headers": {"Connection": "close"}}, [("extra_headers", "invalid")]),
    ({"extra_headers": {"Milepost-Attempt": "1"}}, [("extra_headers", "invalid")]),
    ({"extra_headers": {"authorization": "x"}}, [("extra_headers", "invalid")]),
    ({"extra_headers": {"X-New": "***"}}, [("extra_headers", "invalid")]),
    ({"extra_headers": {"X-New": "a\r\nb"}}, [("extra_headers", "invalid")]),
    ({"payload_form": "xml"}, [("payload_form", "invalid_choice")]),
    ({"uri": "https://a.example"}, [("uri", "unknown_field")]),
]


async def test_what_is_wrong_is_named_where_it_is(
    dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with own_api(dsn, account) as (client, _):
        for given, wrong in REFUSED:
            answer = await client.post(CONNECTIONS, given)
            assert (answer.status, told(answer)) == (400, wrong), given
        for change, expected in OF_CONFIGURATION:
            whole = {"type": "webhook", "configuration": HOOK | change}
            answer = await client.post(CONNECTIONS, whole)
            found = [(f"/data/configuration/{where}", code) for where, code in expected]
            assert (answer.status, told(answer)) == (400, found), change
        bad = {"type": "webhook", "configuration": {"url": "http://10.0.0.1/", "auth_type": "none"}}
        first, why = (await client.post(CONNECTIONS, bad)).document["errors"]
        assert first["detail"] == "Enter a valid URL."
        assert "MILEPOST_EGRESS_ALLOW" in why["detail"]
        required = (await client.post(SUBSCRIPTIONS, {})).document["errors"][0]
        assert required == {
            "detail": "This field is required.",
            "status": "400",
            "source": {"pointer": "/data/connection_id"},
            "code": "required",
        }
        for broken in (b"{", b"[]", b"5"):
            answer = await client.ask("POST", CONNECTIONS, broken)
            assert (answer.status, told(answer)) == (400, [("/data", "invalid")])
            (error,) = answer.document["errors"]
            assert "Given" not in error["detail"], "the name of a class of ours"
        for path in (f"{CONNECTIONS}?connection_type=fax", f"{SUBSCRIPTIONS}?is_active=perhaps"):
            answer = await client.get(path)
            assert (answer.status, told(answer)[0][1]) == (400, "invalid_choice")

        made = await connect(client)
        for wanted, expected in (
            ({"connection_id": made + 1}, [("connection_id", "not_found")]),
            ({"connection_id": 0}, [("connection_id", "min_value")]),
            ({"connection_id": True}, [("connection_id", "invalid")]),
            ({"event_type": "parcels.event.deleted"}, [("event_type", "invalid_choice")]),
            ({"is_active": None}, [("is_active", "null")]),
            ({"filters": {"phases": ["flying"]}}, [("filters/phases/0", "invalid_choice")]),
            ({"filters": {"phases": "sorted"}}, [("filters/phases", "not_a_list")]),
            ({"filters": {"carriers": ["nobody"]}}, [("filters/carriers", "invalid_choice")]),
            ({"filters": {"colour": "red"}}, [("filters/colour", "unknown_field")]),
        ):
            answer = await client.post(SUBSCRIPTIONS, {**of(made), **wanted})
            found = [(f"/data/{where}", code) for where, code in expected]
            assert (answer.status, told(answer)) == (400, found), wanted

        monkeypatch.setattr(connections, "MOST", 1)
        monkeypatch.setattr(subscriptions, "MOST", 1)
        await subscribe(client, made)
        for path, given in (
            (CONNECTIONS, {"type": "klaviyo", "configuration": {}}),
            (SUBSCRIPTIONS, of(made)),
        ):
            answer = await client.post(path, given)
            assert (answer.status, told(answer)) == (400, [("/data", "non_field_errors")])


async def test_a_subscription_lives(dsn: str, account: int) -> None:
    async with own_api(dsn, account) as (client, _):
        one, other = await connect(client), await connect(client)
        asked = {"phases": ["delivered", "attempted"], "carriers": ["postnl"]}
        first = await subscribe(client, one, filters=asked)
        second = await subscribe(client, other, is_active=False)
        path = f"{SUBSCRIPTIONS}/{first}"
        got = (await client.get(path)).document["data"]
        assert got["is_active"] is True
        assert got["filters"] == {
            "phases": ["attempted", "delivered"],
            "exceptions": [],
            "carriers": ["postnl"],
            "status_changes": False,
        }
        for query, ids in (
            ("", [first, second]),
            ("?is_active=true", [first]),
            ("?is_active=False&event_type=parcels.event.created", [second]),
            ("?event_type=parcels.event.deleted", []),
        ):
            listed = (await client.get(SUBSCRIPTIONS + query)).document["data"]
            assert [each["id"] for each in listed] == ids, query
        changed = await patch(client, path, {"connection_id": other, "is_active": False})
        now = changed.document["data"]
        assert (now["connection_id"], now["is_active"]) == (other, False)
        assert now["filters"] == got["filters"], "what is not given stays"
        key = {"idempotency-key": "once"}
        body = json.dumps(of(one)).encode()
        twice = [await client.ask("POST", SUBSCRIPTIONS, body, key) for _ in range(2)]
        assert [(each.status, each.body) for each in twice] == [(201, twice[0].body)] * 2
        # Both go with the connection.
        assert (await client.ask("DELETE", f"{CONNECTIONS}/{other}")).status == 204
        left = (await client.get(SUBSCRIPTIONS)).document["data"]
        assert [each["id"] for each in left] == [twice[0].document["data"]["id"]]
        gone = [await client.ask("DELETE", f"{SUBSCRIPTIONS}/{left[0]['id']}") for _ in range(2)]
        assert [each.status for each in gone] == [204, 404]


async def test_nothing_of_another_account_is_there(
    dsn: str, account: int, admin_pool: Pool
) -> None:
    statement = "INSERT INTO account (name) VALUES ('the other') RETURNING account_id"
    other = int(await admin_pool.fetchval(statement))
    async with own_api(dsn, account) as (mine, _), own_api(dsn, other) as (theirs, _):
        connection = await connect(theirs)
        subscription = await subscribe(theirs, connection)
        for client_sees, status in ((mine, 404), (theirs, 200)):
            for path in (f"{CONNECTIONS}/{connection}", f"{SUBSCRIPTIONS}/{subscription}"):
                assert (await client_sees.get(path)).status == status
                assert (await patch(client_sees, path, {})).status == status
        for verb, path in (
            ("POST", f"{CONNECTIONS}/{connection}/authorization"),
            ("POST", f"{ROOT}/broadcast/test/{subscription}"),
            ("DELETE", f"{CONNECTIONS}/{connection}"),
            ("DELETE", f"{SUBSCRIPTIONS}/{subscription}"),
        ):
            refused = await mine.ask(verb, path)
            (error,) = refused.document["errors"]
            assert (refused.status, error["code"]) == (404, "not_found")
        for path in (CONNECTIONS, SUBSCRIPTIONS):
            assert (await mine.get(path)).document == {"data": []}
        own = await connect(mine)
        ours = await subscribe(mine, own)
        for answer in (
            await mine.post(SUBSCRIPTIONS, of(connection)),
            await patch(mine, f"{SUBSCRIPTIONS}/{ours}", {"connection_id": connection}),
        ):
            assert (answer.status, told(answer)) == (400, [("/data/connection_id", "not_found")])
        assert (await theirs.get(f"{SUBSCRIPTIONS}/{subscription}")).status == 200
