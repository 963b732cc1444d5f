"""Our own reading side over a real server: what a client of lists, explanations and usage meets."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from tests.live_server import Client, Server

V1 = "/api/milepost/v1"
V3 = "/api/v3/parcels/tracking"
ODD = ["%00", "%FF", "%ED%A0%80", "%F0%9F%93%A6", "%27%22%5C%3A%2A%26%7C%21%28%3C-%3E", "a" * 5000]


@pytest.fixture(scope="module")
def shop(server: Server) -> Client:
    """An account of this module's own, with five parcels."""
    return server.account("lists")


@pytest.fixture(scope="module")
def other(server: Server) -> Client:
    return server.account("other lists")


def registered(client: Client, minimal: dict[str, Any], **more: Any) -> str:
    """The id of a new parcel, as a list gives it."""
    assert client.post(V3, minimal | more).status == 200
    (found,) = client.get(f"{V1}/parcels?source_id={minimal['source_id']}").document["data"]
    assert found["source_id"] == minimal["source_id"]
    parcel_id: str = found["parcel_id"]
    return parcel_id


def test_pages_follow_the_link_and_cover_everything(
    shop: Client, minimal: dict[str, Any], fresh: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    made = [registered(shop, fresh(minimal)) for _ in range(5)]
    path, pages = f"{V1}/parcels?limit=2&carrier_code=postnl&q=10115", []
    while path:
        got = shop.get(path)
        assert got.status == 200
        assert got.headers["cache-control"] == "private, no-store"
        pages.append([one["parcel_id"] for one in got.document["data"]])
        link = got.headers.get("link", "")
        assert bool(link) is (got.document["next_cursor"] is not None)
        assert not link or link.endswith('>; rel="next"')
        path = link[1 : link.index(">")] if link else ""
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]


def test_the_document_is_one_and_the_same(shop: Client, minimal: dict[str, Any]) -> None:
    order = {"order": {"order_number": "#77"}}
    parcel_id = registered(shop, minimal, shipment=order)
    one = shop.get(f"{V1}/parcels/{parcel_id}").document
    (listed,) = shop.get(f"{V1}/parcels?include=events&order_number=%2377").document["data"]
    (without,) = shop.get(f"{V1}/parcels?order_number=%2377").document["data"]
    # The worker finds between two of these that there is no credential to ask with.
    for document in (one, listed, without):
        del document["next_check_at"]
    assert listed == one
    assert {**without, "events": one["events"]} == one
    assert (one["to_address"], one["shipment"]) == (minimal["to_address"], order)
    assert one["status"]["code"] == "ANNOUNCED"
    assert one["monitoring"]["state"] in ("waiting_for_credentials", "not_supported")
    assert one["freshness"] == {"state": "not_watched", "age_seconds": None}
    assert [event["event_type"] for event in one["events"]] == ["internal"]


def test_an_empty_source_id_is_looked_for_as_it_stands(
    server: Server, minimal: dict[str, Any], fresh: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    other = server.account("nameless")
    made = [other.post("/api/v3/parcels/tracking", fresh(minimal) | {"source_id": ""})]
    assert [answer.status for answer in made] == [200]
    registered(other, fresh(minimal))
    (found,) = other.get(f"{V1}/parcels?source_id=").document["data"]
    assert found["source_id"] == ""


def test_an_explanation_names_event_rule_and_source(shop: Client, minimal: dict[str, Any]) -> None:
    parcel_id = registered(shop, minimal)
    told = shop.get(f"{V1}/parcels/{parcel_id}/explain").document
    assert (told["status"]["code"], told["status_rule"]["code"]) == ("ANNOUNCED", "phase")
    decided = told["decided_by"]
    assert (decided["raw_code"], decided["source"], decided["mapping_version"]) == (
        "announced",
        "internal",
        1,
    )
    (event,) = told["events"]
    assert (event["event_id"], event["ignored"], event["leg"]) == (decided["event_id"], False, 1)


def test_usage_and_shipping_options_count_what_was_done(
    server: Server, minimal: dict[str, Any], fresh: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    client = server.account("counted", reads=50, writes=20)
    for _ in range(3):
        registered(client, fresh(minimal))
    # Around midnight (UTC) they are of two days.
    usage = client.get(f"{V1}/usage?days=2").document
    assert usage["registered"]["parcels"] == 3
    assert {day["carrier_code"] for day in usage["registered"]["days"]} == {"postnl"}
    assert usage["checked"] == {"checks": 0, "days": []}
    assert usage["budgets"]["writes"]["per_minute"] == 20
    assert usage["budgets"]["writes"]["per_second"] is None
    # The process that took them may have taken one or two in advance.
    assert 15 <= usage["budgets"]["writes"]["remaining"] <= 17
    assert usage["budgets"]["reads"]["remaining"] <= 46
    (option,) = client.get(f"{V1}/shipping-options").document["data"]
    assert (option["shipping_option_code"], option["parcels"]) == ("postnl:standard", 3)


def test_anothers_parcel_is_no_parcel(shop: Client, other: Client, minimal: dict[str, Any]) -> None:
    parcel_id = registered(shop, minimal)
    number = minimal["tracking_number"]["tracking_number"]
    absent = str(int(parcel_id) + 10**9)
    for tail in ("", "/explain"):
        theirs = other.get(f"{V1}/parcels/{parcel_id}{tail}")
        none = other.get(f"{V1}/parcels/{absent}{tail}")
        assert (theirs.status, theirs.body) == (404, none.body)
        assert shop.get(f"{V1}/parcels/{parcel_id}{tail}").status == 200
    for query in ("", f"?q={number}", f"?source_id={minimal['source_id']}", "?to_country=DE"):
        assert other.get(f"{V1}/parcels{query}").document == {"data": [], "next_cursor": None}
    cursor = shop.get(f"{V1}/parcels?limit=1").document["next_cursor"]
    assert cursor
    assert other.get(f"{V1}/parcels?cursor={cursor}").status == 409
    assert other.get(f"{V1}/usage").document["registered"]["parcels"] == 0
    assert other.get(f"{V1}/shipping-options").document == {"data": []}


@pytest.mark.parametrize("name", ["q", "source_id", "carrier_code", "cursor", "limit", "nonsense"])
@pytest.mark.parametrize("odd", ODD)
def test_odd_queries_are_answered_or_refused_by_name(shop: Client, name: str, odd: str) -> None:
    got = shop.get(f"{V1}/parcels?{name}={odd}")
    assert got.status in (200, 422), got.body
    if got.status == 422:
        assert got.headers["content-type"] == "application/problem+json"
        assert got.document["errors"][0]["loc"][0] == "query"


@pytest.mark.parametrize(
    "odd", ["0", "-1", "1.5", "9" * 18, "9" * 30, "x", "%00", "%FF", quote("١")]
)
@pytest.mark.parametrize("tail", ["", "/explain"])
def test_odd_ids_are_no_parcel(shop: Client, odd: str, tail: str) -> None:
    assert shop.get(f"{V1}/parcels/{odd}{tail}").status == 404


def test_a_foreign_cursor_is_refused(shop: Client, minimal: dict[str, Any]) -> None:
    registered(shop, minimal)
    cursor = shop.get(f"{V1}/parcels?limit=1").document["next_cursor"]
    got = shop.get(f"{V1}/parcels?limit=1&sort=updated_at&cursor={cursor}")
    assert (got.status, got.document["code"]) == (409, "foreign_cursor")
    assert got.document["errors"][0]["loc"] == ["query", "cursor"]


def test_the_commands_say_what_the_api_says(
    server: Server, shop: Client, minimal: dict[str, Any]
) -> None:
    parcel_id = registered(shop, minimal)
    number = minimal["tracking_number"]["tracking_number"]
    one = shop.get(f"{V1}/parcels/{parcel_id}").document
    told = server.command("parcels", "show", number, "--account", "lists")
    assert told == one
    told = server.command("parcels", "explain", parcel_id, "--account", "lists")
    assert told == shop.get(f"{V1}/parcels/{parcel_id}/explain").document
    listed = server.command(
        "parcels", "list", number, "--status", "ANNOUNCED", "--account", "lists"
    )
    assert [found["parcel_id"] for found in listed["data"]] == [parcel_id]
