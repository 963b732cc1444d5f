"""v3 Parcel Tracking against its published file: requests, answers and errors to the letter."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.official import V3_TRACKING, component, document, mismatches, response
from tests.live_server import Answer, Client

POST, GET = "/parcels/tracking", "/parcels/tracking/{tracking_number}"
Fresh = Callable[[dict[str, Any]], dict[str, Any]]


def register(client: Client, request: dict[str, Any]) -> Answer:
    return client.post("/api/v3/parcels/tracking", request)


def read(client: Client, request: dict[str, Any]) -> Answer:
    return client.get(f"/api/v3/parcels/tracking/{request['tracking_number']['tracking_number']}")


def official_request() -> dict[str, Any]:
    schemas = document(V3_TRACKING)["components"]["schemas"]
    example: dict[str, Any] = schemas["parcel-tracking-create-request"]["example"]
    return example


def test_the_published_request_is_taken_and_answered_as_published(
    client: Client, fresh: Fresh
) -> None:
    published = document(V3_TRACKING)
    request = fresh(official_request())
    made = register(client, request)
    assert made.status == 200, made.body
    assert mismatches(response(published, POST, "post", 200), made.document) == []
    got = read(client, request)
    assert got.status == 200
    assert mismatches(response(published, GET, "get", 200), got.document) == []
    assert got.headers["content-type"] == "application/json"


@pytest.mark.parametrize("number", [0, 1])
def test_each_published_ship_with_is_taken(client: Client, fresh: Fresh, number: int) -> None:
    published = document(V3_TRACKING)
    examples = published["components"]["schemas"]["ship-with"]["examples"]
    request = {**fresh(official_request()), "ship_with": examples[number]}
    made = register(client, request)
    assert made.status == 200, made.body
    assert made.document["ship_with"] == examples[number]
    assert mismatches(response(published, POST, "post", 200), made.document) == []


def test_the_least_the_guide_asks_for_is_enough(client: Client, minimal: dict[str, Any]) -> None:
    published = document(V3_TRACKING)
    made = register(client, minimal)
    assert made.status == 200, made.body
    assert mismatches(response(published, POST, "post", 200), made.document) == []
    assert mismatches(response(published, GET, "get", 200), read(client, minimal).document) == []


def test_every_field_of_the_published_request_comes_back(client: Client, fresh: Fresh) -> None:
    request = fresh(official_request())
    register(client, request)
    got = read(client, request).document
    kept = ("from_address", "to_address", "ship_with", "parcel_items")
    assert {name: got[name] for name in kept if name in request} == {
        name: request[name] for name in kept if name in request
    }


def test_a_parcel_on_its_way_stays_valid_to_the_end(
    client: Client, minimal: dict[str, Any]
) -> None:
    published = document(V3_TRACKING)
    minimal["tracking_number"] = {
        "carrier_code": "sandbox",
        "tracking_number": "SBX-HAPPY-50000X-CONTRACT1",
    }
    assert register(client, minimal).status == 200
    seen: set[str] = set()
    deadline = time.monotonic() + 180
    while "delivered" not in seen and time.monotonic() < deadline:
        got = read(client, minimal).document
        assert mismatches(response(published, GET, "get", 200), got) == []
        assert got["events"][0]["event_at"] == max(event["event_at"] for event in got["events"])
        seen.add(got["events"][0]["status_code"])
        time.sleep(0.3)
    assert "delivered" in seen


def test_an_unknown_number_is_the_published_404(client: Client) -> None:
    published = document(V3_TRACKING)
    got = client.get("/api/v3/parcels/tracking/NOSUCHPARCEL")
    assert got.status == 404
    content = published["paths"][GET]["get"]["responses"]["404"]["content"]["application/json"]
    assert got.document == content["example"]
    assert mismatches(response(published, GET, "get", 404), got.document) == []


def test_a_second_registration_is_the_published_409(
    client: Client, minimal: dict[str, Any]
) -> None:
    published = document(V3_TRACKING)
    register(client, minimal)
    again = register(client, minimal)
    assert again.status == 409
    content = published["paths"][POST]["post"]["responses"]["409"]["content"]["application/json"]
    assert again.document == content["example"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("announced_at", None),
        ("from_address", {}),
        ("to_address", {"country_code": "NL"}),
        ("ship_with", {"type": "pigeon"}),
        ("tracking_number", {"carrier_code": "postnl", "tracking_number": "A" * 256}),
        ("source_id", None),
    ],
)
def test_each_422_is_the_published_list_and_names_the_field(
    client: Client, minimal: dict[str, Any], field: str, value: object
) -> None:
    published = document(V3_TRACKING)
    refused = register(client, {**minimal, field: value})
    assert refused.status == 422
    assert mismatches(component(published, "HTTPValidationError"), refused.document) == []
    for entry in refused.document["detail"]:
        assert entry.keys() >= {"loc", "msg", "type"}
    assert any(entry["loc"][:2] == ["body", field] for entry in refused.document["detail"])


def test_a_number_that_is_too_long_to_ask_for_is_the_published_422(client: Client) -> None:
    published = document(V3_TRACKING)
    refused = client.get("/api/v3/parcels/tracking/" + "A" * 256)
    assert refused.status == 422
    assert mismatches(response(published, GET, "get", 422), refused.document) == []


def test_the_check_sees_a_wrong_answer() -> None:
    published = document(V3_TRACKING)
    schema = response(published, GET, "get", 200)
    example = published["components"]["schemas"]["parcel-tracking-response"]["example"]
    assert mismatches(schema, example) == []
    address = {**example["to_address"], "surprise": 1}
    assert mismatches(schema, {**example, "to_address": address}) != []
    assert mismatches(schema, {**example, "announced_at": "yesterday"}) != []
