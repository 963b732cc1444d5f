"""The door that carriers push through: who may, what is kept, and what is told back."""

import gzip
import json
from codecs import BOM_UTF8
from collections.abc import AsyncIterator

import pytest
from tests.api.fake_api import Client
from tests.api.own_api import own_api
from tests.intake.told import activity

from milepost.accounts import budget
from milepost.accounts.budget import Budgets
from milepost.accounts.gatekeeper import Caller, Limits
from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import Pool, tenant
from milepost.errors import TooManyRequests
from milepost.intake import addresses
from milepost.intake.addresses import NewAddress
from milepost.wiring import ApiParts

House = tuple[Client, ApiParts]


@pytest.fixture
async def house(dsn: str, account: int) -> AsyncIterator[House]:
    async with own_api(dsn, account, max_json_depth=8, max_body_bytes=20_000) as both:
        yield both


async def address(
    house: House, admins: Pool, account: int, code: str = "ups", proof: str = ""
) -> NewAddress:
    keys: SecretKeys = house[1].core.secret_keys
    return await addresses.add(admins, keys, house[1].core.catalogue, account, code, proof)


async def kept(house: House, account: int) -> list[bytes]:
    async with tenant(house[1].core.pool, account) as conn:
        rows = await conn.fetch("SELECT payload FROM push_payload ORDER BY push_id")
    return [row["payload"] for row in rows]


async def test_what_is_proven_is_kept_as_it_came(
    house: House, admin_pool: Pool, account: int
) -> None:
    client, _ = house
    new = await address(house, admin_pool, account)
    shown = {"Credential": new.given["value"], "Content-Type": "text/plain"}
    assert (await client.ask("POST", new.path, activity(), shown)).status == 200
    packed = gzip.compress(activity("DP"))
    told = {**shown, "Content-Encoding": "gzip"}
    assert (await client.ask("POST", new.path, packed, told)).status == 200
    assert (await client.ask("GET", new.path)).status == 200
    # What we don't understand is kept as well: told otherwise, a carrier would stop pushing.
    odd = b'{"a": NaN}', b'{"a": 1, "a": 2}', b'{"n": 99999999999999999999999}', b"[]", b"7"
    for body in odd[1:]:
        assert (await client.ask("POST", new.path, body, shown)).status == 200
    assert (await client.ask("POST", new.path, BOM_UTF8 + activity("FS"), shown)).status == 200
    told_of = [activity(), activity("DP"), *odd[1:], activity("FS")]
    assert await kept(house, account) == told_of
    async with tenant(house[1].core.pool, account) as conn:
        assert await conn.fetchval("SELECT last_pushed_at IS NOT NULL FROM push_secret")
        assert await conn.fetchval("SELECT headers FROM push_payload LIMIT 1") == {}


async def test_nobody_else_gets_anything_kept(house: House, admin_pool: Pool, account: int) -> None:
    client, _ = house
    new = await address(house, admin_pool, account)
    shown = {"credential": new.given["value"]}
    secret = new.path.rpartition("/")[2]
    gone = await address(house, admin_pool, account)
    await addresses.revoke(admin_pool, account, "ups", gone.address.address_id)
    answers = [
        await client.ask(method, path, body, shown)
        for path in (
            f"/api/milepost/v1/carriers/dhl/push/{secret}",
            f"/api/milepost/v1/carriers/nobody/push/{secret}",
            new.path[:-1] + "x",
            "/api/milepost/v1/carriers/ups/push/mpp_1_x",
            gone.path,
        )
        for method, body in (("POST", activity()), ("GET", b""), ("POST", b"no JSON"))
    ]
    assert {one.status for one in answers} == {404}
    told = {json.dumps({**one.document, "instance": ""}, sort_keys=True) for one in answers}
    assert len(told) == 1
    for headers in ({}, {"credential": "x"}, {"credential": new.given["value"] + " x"}):
        refused = await client.ask("POST", new.path, activity(), headers)
        assert refused.status == 401
        assert refused.document["detail"].startswith("This is the right address")
    assert await kept(house, account) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<xml/>", 400),
        (b"", 400),
        (b'{"a": ', 400),
        (b"\xff\xfe", 400),
        (b"[" * 9 + b"]" * 9, 400),
        (b'{"a": NaN}', 400),
        (b'"' + b"x" * 20_000 + b'"', 413),
    ],
)
async def test_what_is_no_json_changes_nothing(
    house: House, admin_pool: Pool, account: int, body: bytes, status: int
) -> None:
    new = await address(house, admin_pool, account)
    answer = await house[0].ask("POST", new.path, body, {"credential": new.given["value"]})
    assert answer.status == status
    assert answer.document["status"] == status
    assert await kept(house, account) == []


async def test_only_the_headers_that_reading_needs_are_kept(
    house: House, admin_pool: Pool, account: int
) -> None:
    new = await address(house, admin_pool, account, "inpost_it", "header")
    shown = {"X-Api-Key": new.given["value"], "X-InPost-Topic": "Shipment.Tracking", "x-b": "c"}
    assert (await house[0].ask("POST", new.path, b"{}", shown)).status == 200
    async with tenant(house[1].core.pool, account) as conn:
        headers = await conn.fetchval("SELECT headers FROM push_payload")
    assert headers == {"x-inpost-topic": "Shipment.Tracking"}


async def test_a_carrier_of_no_catalogue_is_let_in_and_too_much_is_put_off(
    house: House, admin_pool: Pool, account: int
) -> None:
    client, parts = house
    new = await address(house, admin_pool, account, "slow-post", "header")
    shown = {"X-Milepost-Push": new.given["value"]}
    body = b'{"tracking_number": "SP1", "events": []}'
    assert (await client.ask("POST", new.path, body)).status == 401
    assert (await client.ask("POST", new.path, body, shown)).status == 200
    async with tenant(parts.core.pool, account) as conn:
        assert await conn.fetchval("SELECT source FROM push_payload") == "own"
    parts.backlog._most = len(body)
    refused = await client.ask("POST", new.path, body, shown)
    assert (refused.status, refused.document["code"]) == (503, "too_much_waiting")
    assert refused.headers["retry-after"] == "60"
    assert await kept(house, account) == [body]


async def test_who_only_looks_spends_as_well(
    house: House, admin_pool: Pool, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = []

    async def spend(caller: Caller, kind: str) -> None:
        spent.append((caller.account_id, kind))

    monkeypatch.setattr(house[1].budgets, "spend", spend)
    new = await address(house, admin_pool, account, "dhl", "address")
    for method in ("GET", "POST"):
        assert (await house[0].ask(method, new.path, b"{}")).status == 200
    assert (await house[0].ask("GET", new.path + "x")).status == 404
    assert spent == [(account, "push")] * 2


async def test_pushes_have_a_budget_of_their_own(
    app_pool: Pool, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "PUSHES_PER_MINUTE", 2)
    budgets = Budgets(app_pool)
    caller = Caller(account, 0, "", "", Limits(1, 1, 1), 0)
    for _ in range(2):
        await budgets.spend(caller, "push")
    with pytest.raises(TooManyRequests):
        await budgets.spend(caller, "push")
    await budgets.spend(caller, "write")
