"""Strict out: the answers match the published forms to the letter."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
import yaml

from milepost.tracking.events import Event, Moment, Place, Sighting, Wording, ZoneSource
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.parcel import Monitoring, MonitoringState, Notice, TrackedParcel
from milepost.tracking.status import status_of
from milepost.tracking.vocabulary import EventType, Phase, Reading
from milepost.wire import v2, v3

NOWHERE = Place()
START = datetime(2026, 1, 5, 9, 0, 0, 277703, tzinfo=UTC)
ADDRESS = {"country_code": "NL", "postal_code": "5611 EM", "address_line_2": "", "city": None}
PARCEL = TrackedParcel(
    parcel_id=629,
    carrier_code="postnl",
    tracking_number="3SYZXG132912330",
    source_id="order-1",
    announced_at=START,
    created_at=START + timedelta(seconds=3),
    updated_at=START + timedelta(hours=2),
    document={
        "from_address": ADDRESS,
        "to_address": ADDRESS | {"email": "billing@mail.com"},
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "postnl:standard", "contract_id": 517},
        },
        "details": {"brand_id": 123, "is_return": False},
        "parcel_items": [
            {
                "description": "T-shirt",
                "quantity": 1,
                "hs_code": "",
                "weight": {"value": 0.4, "unit": "kg"},
                "price": {"value": "6.15", "currency": "EUR"},
            }
        ],
        "insurance": {"policy_id": "P"},
        "tracking_number": {},
    },
    monitoring=Monitoring(MonitoringState.WATCHING, "The carrier is asked regularly."),
    tracking_url="https://example.com/T",
    warnings=(Notice("number_format", "Unlike PostNL's numbers."),),
    expected_delivery_date=date(2026, 1, 7),
)


def entry(sequence: int, phase: Phase, text: str = "", place: Place = NOWHERE) -> Entry:
    at = START + timedelta(hours=sequence - 1)
    reading = Reading(phase)
    moment = Moment(at.isoformat(), at, f"{at:%Y-%m-%dT%H:%M}", "UTC", ZoneSource.CARRIER)
    wording = Wording("poll", at, "C", text, {}, place, moment, reading, "", 0, 1)
    internal = sequence == 1
    event = Event(
        key=str(sequence),
        carrier_code="" if internal else "postnl",
        event_type=EventType.INTERNAL if internal else EventType.CARRIER,
        scan_class="C",
        wording=wording,
        sightings=(Sighting("poll", at, at),),
        sequence=sequence,
    )
    return Entry(event, at, 1, Verdict.MOVED, reading, status_of(reading))


def journey(entries: Sequence[Entry]) -> Journey:
    last = entries[-1]
    return Journey(
        entries=tuple(entries),
        hidden=(),
        reading=last.shown,
        status=last.status,
        status_at=last.effective_at,
        first_scan_at=None,
        last_scan_at=None,
        ended_at=None,
        is_return=False,
    )


JOURNEY = journey(
    [
        entry(1, Phase.ANNOUNCED, "Announced"),
        entry(2, Phase.ACCEPTED, "", Place("Eindhoven", "NL", service_point_id="12")),
        entry(3, Phase.IN_TRANSIT, "Onderweg", Place(depot="A1", service_point_id="x9")),
    ]
)


def v3_answer(**options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(v3.tracking_answer(PARCEL, JOURNEY, **options))
    return answer


def v2_answer(parcel: TrackedParcel = PARCEL, **options: Any) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(v2.tracking_answer(parcel, JOURNEY, **options))
    return answer


OFFICIAL = next(
    (
        folder
        for folder in (
            Path(__file__).parents[1] / "contract",
            Path(__file__).parents[3] / "shared/contract",
        )
        if (folder / "sendcloud-v3-parcel-tracking-openapi.yml").exists()
    ),
    None,
)


@pytest.mark.skipif(OFFICIAL is None, reason="needs the official OpenAPI files")
@pytest.mark.parametrize("schema", ["create-response", "response"])
def test_v3_answers_match_the_official_schemas(schema: str) -> None:
    assert OFFICIAL
    text = (OFFICIAL / "sendcloud-v3-parcel-tracking-openapi.yml").read_text()
    document = yaml.safe_load(text)
    reference = {"$ref": f"#/components/schemas/parcel-tracking-{schema}"}
    validator = jsonschema.Draft202012Validator(
        {**reference, "components": document["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    made = v3.create_answer if schema == "create-response" else v3.tracking_answer
    validator.validate(orjson.loads(made(PARCEL, JOURNEY)))


def test_v3_root() -> None:
    answer = v3_answer()
    assert answer["announced_at"] == "2026-01-05T09:00:00Z"
    assert answer["created_at"] == "2026-01-05T09:00:03Z"
    assert answer["updated_at"] == "2026-01-05T11:00:00Z"
    assert answer["details"] == {
        "brand_id": 123,
        "is_return": False,
        "expected_delivery_date": "2026-01-07",
    }
    assert answer["from_address"] == ADDRESS
    assert answer["tracking_numbers"] == [
        {
            "carrier_code": "postnl",
            "tracking_number": "3SYZXG132912330",
            "tracking_url": "https://example.com/T",
        }
    ]
    assert (answer["status"], answer["parent_status"]) == ("SHIPMENT_ON_ROUTE", "shipment-on-route")
    assert answer["monitoring"] == {
        "state": "watching",
        "reason": "The carrier is asked regularly.",
    }
    assert answer["warnings"] == [{"code": "number_format", "message": "Unlike PostNL's numbers."}]
    assert answer["insurance"] == {"policy_id": "P"}
    assert "measurements" not in answer


def test_v3_events_newest_first_under_both_names() -> None:
    newest, middle, oldest = v3_answer()["events"]
    assert newest == {
        "event_at": "2026-01-05T11:00:00Z",
        "event_type": "carrier",
        "status_code": "in_transit",
        "status_description": "Parcel is on its way",
        "status_type": "success",
        "sub_status_code": "none",
        "event_id": "6290003",
        "timestamp": "2026-01-05T11:00:00Z",
        "phase": "in_transit",
        "exception": "none",
        "sub_status": "none",
        "description": "Parcel is on its way",
        "status": "SHIPMENT_ON_ROUTE",
        "parent_status": "shipment-on-route",
        "precision": "instant",
        "stated_at": "2026-01-05T11:00:00.277703+00:00",
        "location_details": {
            "city": None,
            "country": None,
            "house_number": None,
            "postal_code": None,
            "street": None,
            "service_point_id": None,
            "depot": "A1",
        },
    }
    assert middle["location_details"]["service_point_id"] == 12
    assert (oldest["event_type"], oldest["status_code"]) == ("internal", "announced")
    assert oldest["location_details"] is None
    assert v3_answer(oldest_first=True)["events"] == [oldest, middle, newest]


def test_create_answer_has_everything_but_events() -> None:
    answer = orjson.loads(v3.create_answer(PARCEL, JOURNEY))
    assert answer == {name: value for name, value in v3_answer().items() if name != "events"}


@pytest.mark.parametrize("email", ["", "no mail", "@", "a@b c", "a@@b"])
def test_a_mail_address_that_is_none_is_not_told(email: str) -> None:
    document = {**PARCEL.document, "to_address": ADDRESS | {"email": email}}
    parcel = dataclasses.replace(PARCEL, document=document)
    assert orjson.loads(v3.create_answer(parcel, JOURNEY))["to_address"]["email"] is None


def test_v3_omits_what_is_unknown() -> None:
    document = {
        name: part
        for name, part in PARCEL.document.items()
        if name not in ("details", "parcel_items")
    }
    bare = dataclasses.replace(
        PARCEL, document=document, tracking_url="", expected_delivery_date=None
    )
    answer = orjson.loads(v3.tracking_answer(bare, JOURNEY))
    assert answer["details"] == {}
    assert "parcel_items" not in answer
    assert "tracking_url" not in answer["tracking_numbers"][0]


def test_v2_answer() -> None:
    answer = v2_answer()
    statuses = answer.pop("statuses")
    assert answer == {
        "parcel_id": "629",
        "carrier_code": "postnl",
        "created_at": "2026-01-05 09:00:03.277703+00:00",
        "carrier_tracking_url": "https://example.com/T",
        "sendcloud_tracking_url": "https://example.com/T",
        "is_return": False,
        "is_to_service_point": False,
        "is_mail_box": False,
        "expected_delivery_date": "2026-01-07",
    }
    assert statuses[0] == {
        "carrier_update_timestamp": "2026-01-05 11:00:00.277703+00:00",
        "parcel_status_history_id": "6290003",
        "parent_status": "shipment-on-route",
        "carrier_code": "postnl",
        "carrier_message": "Onderweg",
    }
    assert statuses[-1]["carrier_code"] == ""
    assert statuses[-1]["carrier_message"] == "Announced"
    assert v2_answer(oldest_first=True)["statuses"] == statuses[::-1]


def test_v2_dates_keep_their_fraction() -> None:
    parcel = dataclasses.replace(PARCEL, created_at=datetime(2026, 1, 5, 9, tzinfo=UTC))
    assert v2_answer(parcel)["created_at"] == "2026-01-05 09:00:00.000000+00:00"


def test_v2_omits_links_and_days_that_are_unknown() -> None:
    bare = dataclasses.replace(PARCEL, tracking_url="", expected_delivery_date=None)
    answer = v2_answer(bare)
    assert not {"carrier_tracking_url", "sendcloud_tracking_url", "expected_delivery_date"} & set(
        answer
    )
