"""``POST /recognise``, and rows of a batch that name no carrier."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from tests.api.fake_api import Client
from tests.api.own_api import BATCH, own_api
from tests.api.samples import ADDRESS, POST, registration

from milepost.db.pool import Pool, tenant

RECOGNISE = "/api/milepost/v1/recognise"
UPS = "1Z5R89390357567127"
FOURTEEN = "05162815323093"


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account) as (one, _):
        yield one


def unnamed(number: Any, **changed: Any) -> dict[str, Any]:
    part = number if isinstance(number, dict) else {"tracking_number": number}
    return registration(**({"tracking_number": part, "source_id": ""} | changed))


async def batch(client: Client, *rows: Any) -> list[Any]:
    form = {"content-type": "application/json"}
    answer = await client.ask("POST", BATCH, orjson.dumps(rows), form)
    assert answer.status == 200, answer.body
    results: list[Any] = answer.document["results"]
    return results


async def test_a_number_is_told_with_every_candidate(client: Client) -> None:
    answer = await client.post(RECOGNISE, {"number": FOURTEEN, "to_country": "nl"})
    assert answer.status == 200, answer.body
    told = answer.document
    assert (told["best"], told["postal_code"], told["country"]) == (None, None, None)
    codes = [one["carrier_code"] for one in told["candidates"]]
    assert codes[0] == "dpd"
    assert {"gls_nl", "dhl", "gls_eu"} <= set(codes)
    first = told["candidates"][0]
    assert first["tracking_number"] == FOURTEEN
    assert first["check_digit"] == {"verdict": "none", "name": None}
    assert "it is at home in NL" in first["reasons"]
    assert first["is_asked"]
    shares = sum(one["probability"] for one in told["candidates"])
    assert shares + told["unknown_probability"] == pytest.approx(1, abs=0.01)


async def test_a_bar_code_is_told_by_its_parts(client: Client) -> None:
    scanned = "]C142010115\x1d00340434161094015902"
    answer = await client.post(RECOGNISE, {"number": scanned, "from_country": "DE"})
    told = answer.document
    assert told["postal_code"] == "10115"
    assert told["candidates"][0]["tracking_number"] == "00340434161094015902"
    assert told["candidates"][0]["check_digit"] == {"verdict": "holds", "name": "gs1_mod10"}


async def test_a_wrong_check_digit_is_told(client: Client) -> None:
    told = (await client.post(RECOGNISE, {"number": UPS[:-1] + "8"})).document
    assert told["best"] == "ups"
    assert told["candidates"][0]["check_digit"] == {"verdict": "fails", "name": "ups_1z"}


@pytest.mark.parametrize("number", [" ", "hello", "\u200b"])
async def test_what_is_nobodys_number_has_no_candidates(client: Client, number: str) -> None:
    told = (await client.post(RECOGNISE, {"number": number})).document
    assert (told["best"], told["candidates"], told["unknown_probability"]) == (None, [], 1.0)


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body", "number"]),
        ({"number": 5}, ["body", "number"]),
        ({"number": "x" * 2001}, ["body", "number"]),
        ({"number": "x", "to_country": "Spain"}, ["body", "to_country"]),
        ({"number": "x", "from_country": 5}, ["body", "from_country"]),
        ({"number": "x", "carrier": "ups"}, ["body", "carrier"]),
        ([], ["body"]),
    ],
)
async def test_a_wrong_question_is_refused_by_its_field(
    client: Client, body: Any, loc: list[str]
) -> None:
    answer = await client.post(RECOGNISE, body)
    assert answer.status == 422
    assert [one["loc"] for one in answer.document["errors"]] == [loc]


async def test_nothing_is_kept_of_a_question(client: Client, app_pool: Pool, account: int) -> None:
    await client.post(RECOGNISE, {"number": UPS})
    async with tenant(app_pool, account) as conn:
        assert await conn.fetchval("SELECT count(*) FROM parcel") == 0


async def test_a_row_without_a_carrier_takes_the_one_that_is_clearly_ahead(client: Client) -> None:
    scanned, plain, linked = await batch(
        client,
        unnamed("(420)10115(00)340434161094015902", to_address=ADDRESS | {"country_code": "DE"})
        | {"source_id": "a"},
        registration(tracking_number="1z 5r8939 0357 5671 27", source_id="b"),
        unnamed("https://jouw.postnl.nl/track-and-trace/3SDEVC302392342-NL-5611EM"),
    )
    assert scanned["status"] == 422
    assert plain["status"] == linked["status"] == 200, (plain, linked)
    # As it was sent, unless what was sent is more than the number.
    assert plain["parcel"]["tracking_number"] == "1z 5r8939 0357 5671 27"
    assert plain["parcel"]["carrier_code"] == plain["recognised"]["carrier_code"] == "ups"
    assert linked["parcel"]["tracking_number"] == "3SDEVC302392342"
    assert linked["parcel"]["carrier_code"] == "postnl"
    assert linked["recognised"]["probability"] >= 0.9


async def test_a_row_of_which_nobody_is_clearly_ahead_is_refused_with_the_candidates(
    client: Client,
) -> None:
    unclear, unknown, named = await batch(
        client,
        unnamed(FOURTEEN),
        unnamed({"tracking_number": "hello", "carrier_code": ""}),
        unnamed({"tracking_number": FOURTEEN, "carrier_code": "gls_nl"}),
    )
    assert (unclear["status"], unclear["error"]["code"]) == (422, "carrier_unclear")
    (field,) = unclear["error"]["errors"]
    assert field["loc"] == ["body", "tracking_number", "carrier_code"]
    assert "dpd" in field["msg"]
    assert unclear["candidates"][0]["carrier_code"] == "dpd"
    assert (unknown["status"], unknown["candidates"]) == (422, [])
    assert named["status"] == 200
    assert "recognised" not in named


async def test_what_the_account_had_of_late_makes_it_clear(dsn: str, account: int) -> None:
    past = [
        registration(f"{number:014}", source_id="") | {"carrier_code": "gls_nl"}
        for number in range(1, 300)
    ]
    for one in past:
        one["tracking_number"] = one["tracking_number"] | {"carrier_code": "gls_nl"}
    async with own_api(dsn, account) as (client, _):
        assert {one["status"] for one in await batch(client, *past)} == {200}
        told = (await client.post(RECOGNISE, {"number": FOURTEEN, "to_country": "NL"})).document
    assert told["best"] == "gls_nl"
    assert (
        "100% of the account's latest parcels to NL went with it"
        in told["candidates"][0]["reasons"]
    )


async def test_a_number_that_fails_its_check_is_taken_with_a_warning(client: Client) -> None:
    (taken,) = await batch(client, unnamed(UPS[:-1] + "8"))
    assert taken["status"] == 200
    assert taken["recognised"]["check_digit"]["verdict"] == "fails"
    assert [one["code"] for one in taken["parcel"]["warnings"]] == ["check_digit"]


async def test_the_published_registration_asks_for_its_carrier_as_ever(client: Client) -> None:
    answer = await client.post(POST, unnamed(UPS))
    assert answer.status == 422
    assert answer.document["detail"][0]["loc"] == ["body", "tracking_number", "carrier_code"]
