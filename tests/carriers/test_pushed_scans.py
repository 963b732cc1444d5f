"""A scan that a carrier pushes and tells when it is asked, too, is one scan."""

from typing import Any

import orjson
import pytest
from tests.carriers.loopback import carrier

from milepost.carriers.connector import Found, Item
from milepost.carriers.exchange import Answer
from milepost.carriers.samples import ReadsAnswers
from milepost.catalogue.dhl.push import MOST_READ
from milepost.errors import CarrierParseError
from milepost.tracking.events import Scan
from milepost.tracking.telling import key_of


def asked(code: str, number: str, answer: Any) -> Scan:
    connector = carrier(code).connector()
    assert isinstance(connector, ReadsAnswers)
    found = connector.outcome(Item("1", number), Answer(200, {}, orjson.dumps(answer)))
    assert isinstance(found, Found)
    (scan,) = found.scans
    return scan


def pushed(code: str, number: str, payload: Any) -> Scan:
    ((told, found),) = carrier(code).read_push(orjson.dumps(payload), {})
    assert told == number
    (scan,) = found.scans
    return scan


UPS = "1Z999AA10123456784"
ADDRESS = {"city": "Hamburg", "countryCode": "DE"}
STATUS = {"type": "I", "code": "OT", "description": "Out For Delivery"}
UPS_TOLD = {
    "trackingNumber": UPS,
    "localActivityDate": "20261104",
    "localActivityTime": "064411",
    "gmtActivityDate": "20261104",
    "gmtActivityTime": "054411",
    "activityLocation": {"city": "Hamburg", "country": "DE"},
    "activityStatus": STATUS | {"descriptionCode": "021"},
}


def ups_answer(**activity: Any) -> Any:
    told = {
        "date": "20261104",
        "time": "064411",
        "location": {"address": ADDRESS},
        "status": STATUS | {"statusCode": "021"},
    }
    package = {"trackingNumber": UPS, "activity": [told | activity]}
    return {"trackResponse": {"shipment": [{"package": [package]}]}}


DHL = "JVGL06041234567890"
DHL_EVENT = {
    "timestamp": "2026-11-19T10:12:00",
    "statusCode": "delivered",
    "description": "The shipment has been delivered",
    "location": {"address": {"countryCode": "NL"}},
}
SHIPMENT = {"id": DHL, "service": "parcel-nl", "events": [DHL_EVENT]}
INPOST = "620000000000000000000017"
EVENT = {"eventCode": "LMD.1005", "location": {"city": "Milano", "country": "IT"}}


@pytest.mark.parametrize(
    ("code", "number", "answer", "payload"),
    [
        ("ups", UPS, ups_answer(), UPS_TOLD),
        ("ups", UPS, ups_answer(gmtOffset="+01:00"), UPS_TOLD),
        ("dhl", DHL, {"shipments": [SHIPMENT]}, {"scope": "shipment", "shipment": SHIPMENT}),
        (
            "inpost_it",
            INPOST,
            {
                "parcels": [
                    {
                        "trackingNumber": INPOST,
                        "events": [EVENT | {"eventTimestamp": "2026-11-18T09:20:41+00:00"}],
                    }
                ]
            },
            EVENT | {"trackingNumber": INPOST, "timestamp": "2026-11-18T09:20:41.374675Z"},
        ),
    ],
)
def test_both_are_one_scan(code: str, number: str, answer: Any, payload: Any) -> None:
    one, other = asked(code, number, answer), pushed(code, number, payload)
    assert key_of(code, one) == key_of(code, other)
    assert one.reading == other.reading
    assert one.moment.instant.replace(microsecond=0) == other.moment.instant.replace(microsecond=0)


def test_a_payload_of_many_pieces_is_no_work_of_hours() -> None:
    """Each piece is told the events of its shipment: many of both are told as a change only."""
    events = [
        DHL_EVENT | {"timestamp": f"2026-11-19T{n // 60:02}:{n % 60:02}:00"} for n in range(120)
    ]
    pieces = [f"JJD{n:06}" for n in range(1_000)]
    told = carrier("dhl").read_push(
        orjson.dumps({"id": DHL, "events": events, "details": {"pieceIds": pieces}}), {}
    )
    assert [number for number, _ in told] == [DHL, *pieces]
    assert 0 < sum(len(found.scans) for _, found in told) <= MOST_READ
    few = SHIPMENT | {"details": {"pieceIds": pieces[:30]}}
    assert all(found.scans for _, found in carrier("dhl").read_push(orjson.dumps(few), {}))
    many = [{"id": f"{n}", "details": {"pieceIds": pieces}} for n in range(3)]
    with pytest.raises(CarrierParseError, match="more than 2000 numbers"):
        carrier("dhl").read_push(orjson.dumps({"shipments": many}), {})
