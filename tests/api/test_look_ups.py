"""Registering and looking up, as a client meets them."""

import re
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from tests.api.fake_api import OLDEST_FIRST, Client, Parcels
from tests.api.samples import POST, V2, registration

from milepost.api.v3_fields import NUMBER_PATTERN, trimmed_number


async def test_register_and_read_back(client: Client) -> None:
    made = await client.post(POST, registration(" ab 1 "))
    assert made.status == 200
    assert made.headers["content-type"] == "application/json"
    got = await client.get(POST + "/AB1")
    assert got.status == 200
    assert got.document["tracking_numbers"][0]["tracking_number"] == "ab 1"
    assert made.document == {k: v for k, v in got.document.items() if k != "events"}
    assert (await client.get(V2 + "ab1")).document["statuses"][0]["parent_status"] == "announced"
    assert (await client.get(POST + "/AB1/")).status == 200
    assert (await client.ask("POST", POST + "/", orjson.dumps(registration("N2")))).status == 200


async def test_a_second_registration_is_a_conflict(client: Client) -> None:
    await client.post(POST, registration())
    again = await client.post(POST, registration())
    assert (again.status, again.document) == (
        409,
        {"detail": "Parcel or tracking number already exists"},
    )


@pytest.mark.parametrize("number", ["A/B", "A%B", "é ß", "A?B#C", "A+B", ".", "a\u3000b"])
async def test_odd_numbers_work_when_encoded(client: Client, number: str) -> None:
    assert (await client.post(POST, registration(number))).status == 200
    for prefix in (POST + "/", V2):
        got = await client.get(prefix + quote(number, safe=""))
        assert got.status == 200, got.body


@pytest.mark.parametrize("raw", ["%00", "a%00b", "%ff", "%20", "%E2%80%8B", "x" * 256, "%ed%a0%80"])
async def test_numbers_that_can_not_be(client: Client, raw: str) -> None:
    v3 = await client.get(POST + "/" + raw)
    assert v3.status == 422
    assert v3.document["detail"][0]["loc"] == ["path", "tracking_number"]
    assert (await client.get(V2 + raw)).status == 404


async def test_unknown_numbers(client: Client) -> None:
    v3 = await client.get(POST + "/X")
    assert (v3.status, v3.document) == (404, {"detail": "Parcel does not exist"})
    xml = await client.get(V2 + "X")
    assert (xml.status, xml.headers["content-type"]) == (404, "application/xml")
    assert b"<Key>v2/7/X.json</Key>" in xml.body
    as_json = await client.get(V2 + "X", accept="application/json")
    assert as_json.document["error"]["request"] == "api/v2/tracking/X"


async def test_orders(client: Client, app: Any, parcels: Parcels) -> None:
    await client.post(POST, registration())
    newest = await client.get(POST + "/3S1?order=desc")
    oldest = await client.get(POST + "/3S1?order=asc")
    assert newest.document == oldest.document
    wrong = await client.get(POST + "/3S1?order=up")
    assert (wrong.status, wrong.document["detail"][0]["loc"]) == (422, ["query", "order"])
    parcels.asked.clear()
    assert (await Client(app, OLDEST_FIRST).get(V2 + "3S1")).status == 200
    assert parcels.asked == [("load", 7, "3S1", None)]


async def test_carrier_narrows(client: Client) -> None:
    await client.post(POST, registration())
    for prefix in (POST + "/", V2):
        assert (await client.get(prefix + "3S1?carrier_code=postnl")).status == 200
        assert (await client.get(prefix + "3S1?carrier_code=")).status == 200
        assert (await client.get(prefix + "3S1?carrier_code=dhl")).status == 404
        assert (await client.get(prefix + "3S1?carrier_code=%00")).status == 422
        assert (await client.get(prefix + "3S1?carrier_code=%ff")).status == 422


async def test_etags(client: Client, app: Any) -> None:
    await client.post(POST, registration())
    for path in (POST + "/3S1", POST + "/3S1?order=asc", V2 + "3S1"):
        first = await client.get(path)
        tag = first.headers["etag"]
        for wanted in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            same = await client.get(path, if_none_match=wanted)
            assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
        assert (await client.get(path, if_none_match='"x"')).status == 200


async def test_head_is_get_without_a_body(client: Client) -> None:
    await client.post(POST, registration())
    head = await client.ask("HEAD", POST + "/3S1")
    got = await client.get(POST + "/3S1")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(got.body))


async def test_status_lists(client: Client) -> None:
    assert (await client.get("/api/v2/parcels/statuses")).document[0]["id"] == 6
    v3 = await client.get("/api/v3/parcels/statuses")
    assert v3.document["data"][0]["code"] == "READY_TO_SEND"
    assert (await client.get("/api/v3/parcel-statuses")).body == v3.body


@pytest.mark.parametrize("number", ["A", "0" * 255, "A" * 256, "", "a b", " a", "\u00e9", "\u0661"])
def test_plain_numbers_are_judged_like_all_others(number: str) -> None:
    assert (trimmed_number(number) is not None) is bool(re.fullmatch(NUMBER_PATTERN, number))
