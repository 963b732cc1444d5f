"""The v3 Parcel Tracking answers. Keys beyond the published ones stand at the root and in events
only: the published schemas close addresses and ``ship_with``."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from milepost.tracking.descriptions import describe
from milepost.tracking.events import Place
from milepost.tracking.expectation import Expected
from milepost.tracking.journey import Entry, Journey
from milepost.tracking.parcel import TrackedParcel, told_event_id
from milepost.tracking.status import slug_of
from milepost.wire.moments import v3_moment

_MAILBOX = re.compile(r"[^@\s]+@[^@\s]+")
_ALSO_KEPT = ("insurance", "measurements", "return_price", "shipment")


def create_answer(parcel: TrackedParcel, journey: Journey) -> bytes:
    """The answer to a registration."""
    return orjson.dumps(_parcel(parcel, journey))


def tracking_answer(parcel: TrackedParcel, journey: Journey, oldest_first: bool = False) -> bytes:
    """The answer to a look-up, newest event first unless asked otherwise."""
    entries = journey.entries if oldest_first else reversed(journey.entries)
    events = [_event(parcel, entry) for entry in entries]
    return orjson.dumps({**_parcel(parcel, journey), "events": events})


def _parcel(parcel: TrackedParcel, journey: Journey) -> dict[str, Any]:
    document = parcel.document
    answer: dict[str, Any] = {
        "announced_at": v3_moment(parcel.announced_at),
        "created_at": v3_moment(parcel.created_at),
        "updated_at": v3_moment(parcel.updated_at),
        "details": _details(parcel),
        "from_address": _address(document["from_address"]),
        "to_address": _address(document["to_address"]),
        "source_id": parcel.source_id,
        "ship_with": document["ship_with"],
        "tracking_numbers": [_tracking_number(parcel)],
    }
    if document.get("parcel_items") is not None:
        answer["parcel_items"] = document["parcel_items"]
    answer |= {
        "status": journey.status,
        "parent_status": slug_of(journey.status, journey.reading),
        "monitoring": {
            "state": parcel.monitoring.state,
            "reason": parcel.monitoring.reason,
        },
        "warnings": [{"code": one.code, "message": one.message} for one in parcel.warnings],
    }
    if parcel.expected is not None:
        answer["expected_delivery"] = expected_delivery(parcel.expected)
    return answer | {name: document[name] for name in _ALSO_KEPT if document.get(name) is not None}


def _details(parcel: TrackedParcel) -> dict[str, Any]:
    """What is known of the six documented fields; their types know no null."""
    details = dict(parcel.document.get("details") or {})
    if parcel.expected_delivery_date is not None:
        details["expected_delivery_date"] = parcel.expected_delivery_date.isoformat()
    return details


def expected_delivery(expected: Expected) -> dict[str, str | None]:
    """When the parcel is expected, and by whose word: ``details`` never holds our own guess."""
    return {
        "source": expected.source,
        "day": expected.day.isoformat() if expected.day else None,
        "earliest": v3_moment(expected.earliest) if expected.earliest else None,
        "latest": v3_moment(expected.latest) if expected.latest else None,
    }


def _address(address: Mapping[str, Any]) -> Mapping[str, Any]:
    """As it was sent, but for a mail address that is none: the answer's format would be wrong."""
    if address.get("email") == mailbox(address):
        return address
    return {**address, "email": None}


def mailbox(address: Mapping[str, Any]) -> str | None:
    """The mail address of an address; None where it has none, or what was sent is none."""
    email = address.get("email")
    return email if email and _MAILBOX.fullmatch(email) else None


def _tracking_number(parcel: TrackedParcel) -> dict[str, str]:
    number = {
        "carrier_code": parcel.carrier_code,
        "tracking_number": parcel.tracking_number,
        "tracking_identifier": parcel.tracking_identifier,
        "tracking_url": parcel.tracking_url,
    }
    return {name: value for name, value in number.items() if value}


def _event(parcel: TrackedParcel, entry: Entry) -> dict[str, Any]:
    """One event under the names of the look-up and under those of the event payload: clients
    read either."""
    shown, moment = entry.shown, v3_moment(entry.effective_at)
    description = describe(shown)
    return {
        "event_at": moment,
        "event_type": entry.event.event_type,
        "status_code": shown.phase,
        "status_description": description,
        "status_type": shown.status_type,
        "sub_status_code": shown.sub_status,
        "event_id": told_event_id(parcel.parcel_id, entry.event.sequence),
        "timestamp": moment,
        "phase": shown.phase,
        "exception": shown.exception,
        "sub_status": shown.sub_status,
        "description": description,
        "status": entry.status,
        "parent_status": slug_of(entry.status, shown),
        "precision": entry.event.wording.moment.precision,
        "stated_at": entry.event.wording.moment.stated,
        "location_details": location(entry.event.wording.place),
    }


def location(place: Place) -> dict[str, str | int | None] | None:
    """The place in the published form of the event payload; None where nothing is known."""
    if place == Place():
        return None
    point = place.service_point_id
    return {
        "city": place.city or None,
        "country": place.country_code or None,
        "house_number": place.house_number or None,
        "postal_code": place.postal_code or None,
        "street": place.street or None,
        # Published as a number; a carrier's own id need not be one.
        "service_point_id": int(point) if point.isdecimal() and len(point) < 16 else None,
        "depot": place.depot or None,
    }
