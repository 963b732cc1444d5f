"""Idempotency-Key over the real database: one parcel, one answer, however often it is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from tests.api.fake_api import Client, Keys, started
from tests.api.samples import POST, registration

from milepost.accounts.gatekeeper import Caller
from milepost.api.app import Application
from milepost.settings import Settings
from milepost.wiring import ApiParts, api_parts

pytestmark = [pytest.mark.promise, pytest.mark.beside]


class KeysOf(Keys):
    """Every key is the account's, without limits."""

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id

    async def from_header(self, authorization: bytes | None) -> Caller:
        caller = await super().from_header(authorization)
        return replace(caller, account_id=self._account_id)


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    chosen = Settings(database_url=SecretStr(dsn), secret_key=SecretStr("0" * 64))

    @asynccontextmanager
    async def parts_of(settings: Settings) -> AsyncIterator[ApiParts]:
        async with api_parts(settings) as parts:
            keys: Any = KeysOf(account)
            yield replace(parts, gatekeeper=keys, budgets=keys)

    async with started(Application(chosen, parts_of)) as app:
        yield Client(app)


async def test_a_stampede_with_one_key_is_one_parcel_and_one_answer(client: Client) -> None:
    body = registration("STAMPEDE")
    asked = [client.post(POST, body, idempotency_key="k") for _ in range(50)]
    answers = await asyncio.gather(*asked)
    done = [one for one in answers if one.status != 503]
    assert {(one.status, one.body) for one in done} == {(200, done[0].body)}
    assert (await client.post(POST, body, idempotency_key="k")).body == done[0].body
    assert (await client.post(POST, body)).status == 409


async def test_a_stampede_without_a_key_has_one_winner(client: Client) -> None:
    answers = await asyncio.gather(*(client.post(POST, registration("RUSH")) for _ in range(50)))
    assert sorted(one.status for one in answers) == [200] + [409] * 49


async def test_a_conflict_is_kept_as_well(client: Client) -> None:
    await client.post(POST, registration("TWICE"))
    first = await client.post(POST, registration("TWICE"), idempotency_key="c")
    again = await client.post(POST, registration("TWICE"), idempotency_key="c")
    assert first.status == again.status == 409
    assert first.body == again.body
    assert first.headers["content-type"] == again.headers["content-type"] == "application/json"


async def test_another_request_under_the_same_key_is_refused(client: Client) -> None:
    await client.post(POST, registration("ONE"), idempotency_key="r")
    other = await client.post(POST, registration("TWO", source_id="2"), idempotency_key="r")
    assert other.status == 422
    assert other.document["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert (await client.get(POST + "/TWO")).status == 404
    assert (
        await client.post(POST + "?a=b", registration("ONE"), idempotency_key="r")
    ).status == 422


async def test_a_refused_request_does_not_use_the_key_up(client: Client) -> None:
    wrong = await client.post(POST, {}, idempotency_key="w")
    right = await client.post(POST, registration("RIGHT"), idempotency_key="w")
    assert (wrong.status, right.status) == (422, 200)


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9"])
async def test_keys_that_are_none(client: Client, key: str) -> None:
    got = await client.post(POST, registration("BAD"), idempotency_key=key)
    assert got.status == 422
    assert (await client.get(POST + "/BAD")).status == 404


async def test_every_field_survives_the_database(client: Client) -> None:
    item = {
        "description": "T-shirt \u20ac",
        "weight": {"value": 0.1, "unit": "kg"},
        "price": {"value": 0.3000000000000001, "currency": "EUR"},
        "properties": {"big": 9007199254740991, "small": 5e-324, "none": None, "": [True]},
    }
    made = await client.ask(
        "POST", POST, orjson.dumps(registration("FIELDS", parcel_items=[item], return_price=None))
    )
    got = await client.get(POST + "/fields")
    told = got.document["parcel_items"][0]
    assert made.document["parcel_items"][0] == told
    assert told["properties"] == item["properties"]
    assert told["price"]["value"] == "0.3000000000000001"
