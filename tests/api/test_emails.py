"""Choosing to write to recipients, and the page behind the link in every letter."""

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from tests.api.fake_api import Answer, Client
from tests.api.own_api import own_api

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool, tenant
from milepost.notifications.mail_address import MailAddress, mail_address
from milepost.notifications.unsubscribing import Links, address_hashes, read
from milepost.wiring import ApiParts

EMAILS = "/api/milepost/v1/emails"
PUBLIC = "https://parcels.example"
MAIL = {
    "smtp_url": SecretStr("smtp://127.0.0.1:9"),
    "mail_from": "tracking@shop.example",
    "public_url": PUBLIC,
}
CHOICE = {"phases": ["pup", "delivered"], "sender_name": "Bakery <Ada>", "reply_to": "a@b.example"}


def put(client: Client, document: Any) -> Awaitable[Answer]:
    return client.ask("PUT", EMAILS, orjson.dumps(document))


def ada() -> MailAddress:
    found = mail_address("ada@recipient.example")
    assert found is not None
    return found


@pytest.fixture
async def api(dsn: str, account: int) -> AsyncIterator[tuple[Client, ApiParts]]:
    async with own_api(dsn, account, **MAIL) as made:
        yield made


async def test_a_choice_from_beginning_to_end(
    api: tuple[Client, ApiParts], admin_pool: Pool, account: int
) -> None:
    client, _ = api
    before = (await client.get(EMAILS)).document
    assert (before["is_active"], before["is_available"], before["phases"]) == (False, True, [])
    assert (await client.ask("DELETE", EMAILS)).status == 204, "nothing to end"
    made = await put(client, CHOICE)
    assert made.status == 200, made.body
    assert made.document | CHOICE == made.document
    assert (made.document["is_active"], made.document["state"]) == (True, "open")
    again = await put(client, {"phases": ["in_delivery"]})
    assert again.document["connection_id"] == made.document["connection_id"]
    assert again.document["sender_name"].startswith("account ")
    assert (await client.ask("DELETE", EMAILS)).status == 204
    after = (await client.get(EMAILS)).document
    assert (after["is_active"], after["phases"]) == (False, ["in_delivery"])
    statement = "SELECT count(*) FROM audit WHERE account_id = $1 AND action LIKE 'emails.%'"
    async with admin_pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT set_config('milepost.account_id', $1, true)", str(account))
        assert await conn.fetchval(statement, account) == 3


async def test_what_is_no_choice_changes_nothing(api: tuple[Client, ApiParts]) -> None:
    client, _ = api
    wrong: Any
    for wrong in (
        *([], {}, {"phases": []}, {"phases": "delivered"}, {"phases": ["sent"]}),
        {"phases": [{}]},
        {**CHOICE, "reply_to": "nobody"},
        {**CHOICE, "sender_name": 7},
        {**CHOICE, "sender_name": "a" * 65},
        {**CHOICE, "bcc": "b@c.example"},
    ):
        refused = await put(client, wrong)
        assert refused.status == 422, refused.body
    assert not (await client.get(EMAILS)).document["is_active"]


async def test_without_a_mail_server_it_is_said(dsn: str, account: int) -> None:
    async with own_api(dsn, account) as (client, _):
        refused = await put(client, CHOICE)
        assert (refused.status, refused.document["code"]) == (409, "no_mail_server")
        assert "MILEPOST_SMTP_URL" in refused.document["detail"]
        assert not (await client.get(EMAILS)).document["is_available"]


async def test_unsubscribing(api: tuple[Client, ApiParts], worker_pool: Pool, account: int) -> None:
    client, parts = api
    anybody = Client(client._app, None)
    keys = parts.core.secret_keys
    await put(client, CHOICE)
    path = Links(keys, PUBLIC).to(account, ada()).removeprefix(PUBLIC)
    admitted = "SELECT admit_letter($1, $2, true, 0, 0)"
    hashes = list(address_hashes(keys, account, ada()))

    page = await anybody.ask("GET", path)
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert b"Bakery &lt;Ada&gt;" in page.body
    assert b'<form method="post">' in page.body
    assert b"ada" not in page.body.lower().replace(b"bakery &lt;ada&gt;", b"")
    assert "set-cookie" not in page.headers
    scanned = await anybody.ask("HEAD", path)
    assert (scanned.status, scanned.body) == (200, b"")
    assert {**scanned.headers, "x-request-id": ""} == {**page.headers, "x-request-id": ""}
    assert await worker_pool.fetchval(admitted, account, hashes) == 0, "asking changes nothing"
    other_way = await anybody.ask("PUT", path)
    assert other_way.status == 405
    assert set(other_way.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}

    form = {"content-type": "application/x-www-form-urlencoded"}
    for body, headers in (
        (b"List-Unsubscribe=One-Click", form),
        (b"", {}),
        (b"--x\r\n\r\n", {"content-type": "multipart/form-data; boundary=x"}),
    ):
        done = await anybody.ask("POST", path, body, headers)
        assert (done.status, b"<h1>Done</h1>" in done.body) == (200, True)
    assert await worker_pool.fetchval(admitted, account, hashes) == -1
    other = list(address_hashes(keys, account + 1, ada()))
    assert await worker_pool.fetchval(admitted, account + 1, other) == 0, "of this shop alone"

    lift = f"{EMAILS}/unsubscriptions/lift"
    asked = {"address": " ADA@Recipient.example "}
    for expected in (True, False):
        lifted = await client.post(lift, asked)
        assert (lifted.status, lifted.document) == (200, {"lifted": expected})
    assert await worker_pool.fetchval(admitted, account, hashes) == 0, "she has asked for it"
    wrong: Any
    for wrong in ({}, {"address": "ada"}, {"address": 7}, [], asked | {"more": 1}):
        assert (await client.post(lift, wrong)).status == 422, wrong
    assert (await anybody.post(lift, asked)).status == 401
    async with tenant(parts.core.pool, account) as conn:
        noted = await conn.fetch("SELECT actor, detail FROM audit WHERE action LIKE '%lifted'")
    assert [(row["actor"], row["detail"]) for row in noted] == [
        ("key:1", {"address_hash": hashes[0].hex()})
    ]


async def test_links_that_are_not_ours(api: tuple[Client, ApiParts], account: int) -> None:
    client, parts = api
    anybody = Client(client._app, None)
    path = Links(parts.core.secret_keys, PUBLIC).to(account, ada()).removeprefix(PUBLIC)
    last = "0" if path[-1] != "0" else "1"
    foreign = path.replace(f"mpu_{account}_", f"mpu_{account + 1}_")
    for wrong in (path[:-1] + last, path[:-1], path + "0", foreign, "/unsubscribe/x", foreign[:20]):
        for method in ("GET", "POST"):
            got = await anybody.ask(method, wrong)
            assert (await anybody.ask("HEAD", wrong)).status == 404
            assert (got.status, b"Nothing here" in got.body) == (404, True), wrong


def test_a_link_outlives_its_key_as_long_as_that_is_listed() -> None:
    old, new = b"o" * 40, b"n" * 40
    token = Links(SecretKeys((old,)), PUBLIC).to(7, ada()).rpartition("/")[2]
    found = read(SecretKeys((new, old)), token)
    assert found is not None
    assert found.address_hash in address_hashes(SecretKeys((new, old)), 7, ada())
    assert read(SecretKeys((new,)), token) is None


async def test_the_doors_are_described(api: tuple[Client, ApiParts]) -> None:
    client, _ = api
    paths = (await client.get("/openapi.json")).document["paths"]
    assert set(paths[EMAILS]) == {"get", "put", "delete"}
    unsubscribe = paths["/unsubscribe/{token}"]
    assert set(unsubscribe) == {"get", "head", "post"}
    assert all(operation["security"] == [] for operation in unsubscribe.values())
