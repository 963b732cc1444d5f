"""PostNord's connector: what it asks, faults within a 200, and shipments of several items."""

from typing import Any

import orjson
import pytest

from milepost.carriers.connector import Broken, Credential, Found, Item, NotFound, Outcome
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.catalogue.postnord.connector import request

CARRIER = Catalogue.load().get("postnord")
assert CARRIER is not None
CONNECTOR = CARRIER.connector()
NUMBER = "87310000101SE"


def read(answer: Any, number: str = NUMBER, status: int = 200) -> Outcome:
    assert isinstance(CONNECTOR, ReadsAnswers)
    body = orjson.dumps({"TrackingInformationResponse": answer})
    return CONNECTOR.outcome(Item("1", number), Answer(status, {}, body))


def event(**more: Any) -> dict[str, Any]:
    return {"eventTime": "2026-03-28T19:40:00", "eventCode": "", **more}


def item(number: str, *events: dict[str, Any]) -> dict[str, Any]:
    return {"itemId": number, "events": list(events)}


def test_the_question_names_the_number_and_its_key_is_not_printed() -> None:
    assert CARRIER is not None
    login = Credential("operator", {"api_key": "k3y"})
    asked = request(CARRIER.manifest, Item("1", " 87310000101 se"), login)
    assert dict(asked.query) == {"id": NUMBER, "locale": "en", "apikey": "k3y"}
    assert "k3y" not in repr(asked)


@pytest.mark.parametrize("status", [200, 404])
def test_an_invalid_identifier_is_an_unknown_number(status: int) -> None:
    faults = {"compositeFault": {"faults": {"faultCode": "invalidIdentifier"}}, "shipments": []}
    assert read(faults, status=status) == NotFound()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"compositeFault": {"faults": [{"faultCode": "systemError"}]}}, 200),
        ({"shipments": []}, 404),
        (None, 200),
    ],
)
def test_any_other_fault_is_one(answer: Any, status: int) -> None:
    told = read(answer, status=status)
    assert isinstance(told, Broken)
    assert not told.lane_wide


@pytest.mark.parametrize(
    ("told", "meaning"),
    [
        (event(eventCode="1", status="EN_ROUTE"), "pup pup"),
        (event(eventCode="99", status="DELIVERED"), "delivered none"),
        (event(status="EN_ROUTE", eventDescription="Out for delivery"), "in_delivery none"),
        (event(status="EN_ROUTE", eventDescription="Under transportation"), "in_transit none"),
        (event(status="DELIVERED", eventDescription="Out for delivery"), "delivered none"),
        (event(status="RETURNED", eventDescription="Being returned to sender"), "in_transit"),
        (event(eventCode="99", status="?"), "unknown unknown"),
    ],
)
def test_code_then_text_then_status(told: dict[str, Any], meaning: str) -> None:
    found = read({"shipments": {"items": item(NUMBER, told)}})
    assert isinstance(found, Found)
    reading = found.scans[0].reading
    assert f"{reading.phase} {reading.sub_status}".startswith(meaning)


def test_one_delivered_item_does_not_make_a_shipment_delivered() -> None:
    delivered = item("1SE", event(eventCode="21", status="DELIVERED"))
    other = item("2SE", event(eventTime="2026-03-28T20:00:00", status="EN_ROUTE"))
    shipment = {"shipmentId": "0815", "status": "SPLIT", "items": [delivered, other]}
    found = read({"shipments": [shipment]}, "0815")
    assert isinstance(found, Found)
    assert [(scan.raw_code, scan.moment.stated) for scan in found.scans] == [
        ("SPLIT", "2026-03-28T20:00:00")
    ]
    assert not found.complete
    assert found.raw_type == ""
