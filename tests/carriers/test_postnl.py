"""PostNL's connector: what it asks, and the oddities of its answers that the samples can't show."""

from typing import Any

import orjson
import pytest

from milepost.carriers.connector import Broken, Credential, Found, Item, NotFound
from milepost.carriers.exchange import Answer
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.registry import Catalogue
from milepost.catalogue.postnl.connector import request

CARRIER = Catalogue.load().get("postnl")
assert CARRIER is not None
CONNECTOR = CARRIER.connector()
NUMBER = "3SMLPT100000017"


def read(document: Any, status: int = 200) -> Any:
    assert isinstance(CONNECTOR, RestJson)
    return CONNECTOR.outcome(Item("1", NUMBER), Answer(status, {}, orjson.dumps(document)))


def shipment(**parts: Any) -> dict[str, Any]:
    return {"CompleteStatus": {"Shipment": {"Barcode": NUMBER, **parts}}}


def event(code: str, at: str) -> dict[str, str]:
    return {"Code": code, "Description": "told", "TimeStamp": at}


def test_the_question_names_the_number_and_carries_the_key_in_a_header() -> None:
    assert CARRIER is not None
    asked = request(
        CARRIER.manifest, Item("1", " 3smlpt/1 "), Credential("operator", {"api_key": "k"})
    )
    assert asked.url.endswith("/status/barcode/3SMLPT%2F1")
    assert dict(asked.query) == {"detail": "true", "language": "EN"}
    assert asked.headers["apikey"] == "k"


def test_a_status_counts_only_where_no_event_is_told() -> None:
    status = {
        "StatusCode": "2",
        "StatusDescription": "accepted",
        "TimeStamp": "07-11-2026 23:20:05",
    }
    both = read(shipment(Event=event("B01", "07-11-2026 23:20:05"), Status=status))
    alone = read(shipment(Event={}, Status=status))
    assert [scan.raw_code for scan in both.scans] == ["B01"]
    assert both.complete
    assert [scan.raw_code for scan in alone.scans] == ["S2"]
    assert not alone.complete


def test_the_autumn_hour_is_told_apart_by_the_order_of_scans() -> None:
    # 02:50 before 02:10: the clock was turned back in between.
    told = [event("J01", "25-10-2026 02:10:00"), event("B01", "25-10-2026 02:50:00")]
    found = read(shipment(Event=told))
    assert [(scan.raw_code, scan.moment.instant.hour) for scan in found.scans] == [
        ("B01", 0),
        ("J01", 1),
    ]


@pytest.mark.parametrize("status", [200, 404])
def test_its_own_unknown_is_no_fault(status: int) -> None:
    unknown = {"CurrentStatus": {}, "Warnings": [{"Message": "No shipment", "Code": "2"}]}
    assert read(unknown, status) == NotFound()
    assert isinstance(read({"CurrentStatus": {}, "Warnings": []}, status), Broken)


def test_a_warning_beside_a_shipment_is_not_an_unknown_number() -> None:
    told = shipment(Event=event("B01", "07-11-2026 23:20:05"))
    assert isinstance(read({**told, "Warnings": [{"Code": "2"}]}), Found)
