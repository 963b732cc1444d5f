"""``GET /api/v2/parcels`` over a real database: what is read again after a webhook."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from tests.api.fake_api import Answer, Client
from tests.api.own_api import own_api
from tests.api.samples import POST, V2, registration

from milepost.api import v2_parcels
from milepost.api.v2_parcel_schemas import PARCEL
from milepost.db.pool import Pool

PARCELS = "/api/v2/parcels"
ORDER = {"order": {"order_number": "#77 & more"}}
URL = "https://track.example.org/"


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account, public_url=URL) as (one, _):
        yield one


async def registered(client: Client, number: str, **more: Any) -> int:
    body = registration(number, **({"source_id": number} | more))
    assert (await client.post(POST, body)).status == 200
    return int((await client.get(f"{V2}{number}")).document["parcel_id"])


async def ids(client: Client, query: str) -> list[int]:
    got = await client.get(f"{PARCELS}?{query}")
    assert got.status == 200, got.body
    return [one["id"] for one in got.document["parcels"]]


def refused(got: Answer) -> tuple[int, str]:
    error = got.document["error"]
    assert error["code"] == got.status
    return got.status, error["message"]


async def test_one_object_by_id_number_and_list(client: Client) -> None:
    parcel_id = await registered(client, "SBX1", shipment=ORDER)
    one = await client.get(f"{PARCELS}/{parcel_id}")
    assert (one.status, list(one.document)) == (200, ["parcel"])
    assert one.headers["cache-control"] == "private, no-store"
    parcel = one.document["parcel"]
    assert list(jsonschema.Draft202012Validator(PARCEL).iter_errors(parcel)) == []
    assert (parcel["id"], parcel["tracking_number"]) == (parcel_id, "SBX1")
    assert (parcel["external_reference"], parcel["order_number"]) == ("SBX1", "#77 & more")
    assert parcel["status"] == {"id": 1, "message": "Announced"}
    alone = {"next": None, "previous": None, "parcels": [parcel]}
    for query in ("tracking_number=%20sbx1", f"ids={parcel_id}", "", "errors=verbose-carrier"):
        assert (await client.get(f"{PARCELS}?{query}")).document == alone
    assert (await client.get(f"{PARCELS}/")).document == alone


async def test_the_name_of_the_carrier_is_the_catalogues(client: Client) -> None:
    body = registration("SBX1", source_id="a")
    body["tracking_number"]["carrier_code"] = "sandbox"
    assert (await client.post(POST, body)).status == 200
    (found,) = (await client.get(PARCELS)).document["parcels"]
    assert found["carrier"]["code"] == "sandbox"
    assert found["carrier"]["name"] not in ("", "sandbox")


async def test_filters_narrow_alone_and_together(client: Client) -> None:
    first = await registered(client, "SBX1", shipment=ORDER, announced_at="2026-01-05T09:00:00Z")
    second = await registered(client, "SBX2", announced_at="2026-02-05T09:00:00Z")
    order = quote("#77 & more")
    plus = "2026-02-01T00:00:00.5+00:00"
    for query, found in (
        ("", [second, first]),
        ("tracking_number=", [second, first]),
        (f"order_number={order}", [first]),
        ("external_reference=SBX2", [second]),
        ("parcel_status=1", [second, first]),
        ("parcel_status=11", []),
        (f"announced_after={quote(plus)}", [second]),
        (f"announced_after={plus}", [second]),
        ("announced_after=2026-02-05%2009:00", [second]),
        ("updated_after=2100-01-01", []),
        (f"ids={first},{second},999", [second, first]),
        ("tracking_number=SBX3", []),
        (f"tracking_number=SBX1&order_number={order}&parcel_status=1", [first]),
        ("tracking_number=SBX1&external_reference=SBX2", []),
        ("tracking_number=SBX1&order_number=1", []),
        ("tracking_number=SBX1&parcel_status=11", []),
        ("tracking_number=SBX1&updated_after=2100-01-01", []),
        ("tracking_number=SBX1&announced_after=2026-02-01", []),
        (f"tracking_number=SBX1&ids={second}", []),
        (f"tracking_number=SBX1&ids={first},{second}", [first]),
    ):
        assert await ids(client, query) == found, query


async def test_pages_follow_the_address_of_the_next(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [await registered(client, f"SBX{place}", shipment=ORDER) for place in range(5)]
    monkeypatch.setattr(v2_parcels, "PAGE_SIZE", 2)
    asked, pages = f"{PARCELS}?order_number={quote('#77 & more')}", []
    while asked:
        got = (await client.get(asked)).document
        assert got["previous"] is None
        pages.append([one["id"] for one in got["parcels"]])
        assert got["next"] is None or got["next"].startswith(URL + PARCELS[1:] + "?order_number=")
        asked = (got["next"] or "").removeprefix(URL[:-1])
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    got = await client.get(f"{PARCELS}?order_number=other&cursor={'A' * 32}")
    assert refused(got) == (404, "Invalid cursor")


async def test_without_a_public_address_the_next_is_where_one_asked(
    dsn: str, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v2_parcels, "PAGE_SIZE", 1)
    async with own_api(dsn, account) as (client, _):
        for number in ("SBX1", "SBX2"):
            await registered(client, number)
        got = await client.get(PARCELS, host="milepost.internal:8000")
        assert got.document["next"].startswith(f"http://milepost.internal:8000{PARCELS}?cursor=")


WRONG = [
    ("parcel_status=2", 400),
    ("parcel_status=x", 400),
    ("updated_after=yesterday", 400),
    ("announced_after=1", 400),
    ("ids=1,,2", 400),
    ("ids=" + ",".join("1" * 101), 400),
    ("external_reference=" + "x" * 256, 400),
    ("order_number=%00", 400),
    ("tracking_number=%00", 400),
    ("tracking_number=%ff", 400),
    ("cursor=short", 404),
    (f"tracking_number=1&cursor={'A' * 32}", 404),
]


async def test_wrong_queries_are_refused_in_the_v2_form(client: Client) -> None:
    for query, status in WRONG:
        assert refused(await client.get(f"{PARCELS}?{query}"))[0] == status, query


async def test_anothers_parcel_is_as_unknown_as_none(
    client: Client, dsn: str, admin_pool: Pool
) -> None:
    parcel_id = await registered(client, "SBX1")
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    async with own_api(dsn, other) as (stranger, _):
        answers = [
            await stranger.get(f"{PARCELS}/{one}")
            for one in (parcel_id, 10**9, "9" * 18, "9" * 30, 0, "x")
        ]
        assert {refused(one) for one in answers} == {(404, "Not found.")}
        for query in ("", "tracking_number=SBX1", f"ids={parcel_id}", "external_reference=SBX1"):
            assert await ids(stranger, query) == []
    assert (await client.get(f"{PARCELS}/{parcel_id}")).status == 200
    assert (await client.ask("DELETE", f"{PARCELS}/{parcel_id}")).status == 405
