"""v2 tracking against its published file, with the documented exceptions of the carrier list."""

import re
import time
from typing import Any
from xml.etree import ElementTree

from tests.contract.official import (
    V2_TRACKING,
    document,
    mismatches,
    published_carriers,
    v2_tracking_schema,
)
from tests.live_server import Client

V2_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\+00:00")
STATUS_KEYS = {
    "carrier_update_timestamp",
    "parcel_status_history_id",
    "parent_status",
    "carrier_code",
    "carrier_message",
}


def test_a_parcel_of_a_published_carrier_is_answered_as_published(
    client: Client, minimal: dict[str, Any]
) -> None:
    client.post("/api/v3/parcels/tracking", minimal)
    got = client.get(f"/api/v2/tracking/{minimal['tracking_number']['tracking_number']}")
    assert got.status == 200
    assert mismatches(v2_tracking_schema(), got.document) == []
    assert got.document["carrier_code"] in published_carriers()
    assert V2_TIME.fullmatch(got.document["created_at"])
    (announced,) = got.document["statuses"]
    assert announced.keys() == STATUS_KEYS
    assert (announced["carrier_code"], announced["carrier_message"]) == ("", "Announced")


def test_a_simulated_parcel_stays_valid_to_the_end(client: Client, minimal: dict[str, Any]) -> None:
    number = "SBX-HAPPY-50000X-CONTRACT2"
    minimal["tracking_number"] = {"carrier_code": "sandbox", "tracking_number": number}
    assert client.post("/api/v3/parcels/tracking", minimal).status == 200
    deadline, newest = time.monotonic() + 180, ""
    while newest != "delivered" and time.monotonic() < deadline:
        got = client.get(f"/api/v2/tracking/{number}").document
        assert mismatches(v2_tracking_schema("sandbox"), got) == []
        assert all(status.keys() == STATUS_KEYS for status in got["statuses"])
        newest = got["statuses"][0]["parent_status"]
        time.sleep(0.3)
    assert newest == "delivered"
    told = [status["carrier_update_timestamp"] for status in got["statuses"]]
    assert told == sorted(told, reverse=True)


def test_a_free_carrier_code_is_the_only_thing_the_published_list_minds(
    client: Client, minimal: dict[str, Any]
) -> None:
    minimal["tracking_number"] |= {"carrier_code": "our_own_van"}
    assert client.post("/api/v3/parcels/tracking", minimal).status == 200
    got = client.get(f"/api/v2/tracking/{minimal['tracking_number']['tracking_number']}").document
    (mismatch,) = mismatches(v2_tracking_schema(), got)
    assert mismatch.startswith("$.carrier_code: 'our_own_van' is not one of")
    assert mismatches(v2_tracking_schema("our_own_van"), got) == []


def test_an_unknown_number_is_the_published_xml(client: Client) -> None:
    content = document(V2_TRACKING)["paths"]["/tracking/{tracking_number}"]["get"]["responses"][
        "404"
    ]["content"]["application/xml"]
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json, application/xml"}):
        got = client.get("/api/v2/tracking/NOSUCHPARCEL", accept)
        assert got.status == 404
        assert got.headers["content-type"].startswith("application/xml")
        root = ElementTree.fromstring(got.body)
        assert root.tag == content["schema"]["xml"]["name"]
        assert [child.tag for child in root] == list(content["schema"]["properties"])
        assert (root.findtext("Code"), root.findtext("Message")) == (
            "NoSuchKey",
            "The specified key does not exist.",
        )


def test_a_client_of_json_alone_gets_the_v2_error(client: Client) -> None:
    got = client.get("/api/v2/tracking/NOSUCHPARCEL", {"Accept": "application/json"})
    assert got.status == 404
    error = got.document["error"]
    assert (error["code"], error["request"]) == (404, "api/v2/tracking/NOSUCHPARCEL")
    assert isinstance(error["message"], str)
