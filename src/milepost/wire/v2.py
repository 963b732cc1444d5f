"""The v2 tracking answer: string ids, slugs, and no key whose value is unknown."""

from typing import Any

import orjson

from milepost.tracking.journey import Entry, Journey
from milepost.tracking.parcel import TrackedParcel, told_event_id
from milepost.tracking.status import slug_of
from milepost.wire.moments import v2_moment


def tracking_answer(parcel: TrackedParcel, journey: Journey, oldest_first: bool = False) -> bytes:
    """The answer to a look-up, newest status first unless asked otherwise."""
    details = parcel.document.get("details") or {}
    answer: dict[str, Any] = {
        "parcel_id": str(parcel.parcel_id),
        "carrier_code": parcel.carrier_code,
        "created_at": v2_moment(parcel.created_at),
    }
    if parcel.tracking_url:
        answer["carrier_tracking_url"] = parcel.tracking_url
        answer["sendcloud_tracking_url"] = parcel.tracking_url
    for name in ("is_return", "is_to_service_point", "is_mail_box"):
        answer[name] = bool(details.get(name))
    # A client in Go fails on null, one in PHP without the key: sent whenever there is a day.
    if day := _expected_day(parcel):
        answer["expected_delivery_date"] = day
    entries = journey.entries if oldest_first else reversed(journey.entries)
    answer["statuses"] = [_status(parcel, entry) for entry in entries]
    return orjson.dumps(answer)


def _expected_day(parcel: TrackedParcel) -> str | None:
    """The carrier's day, else the sender's, else our estimate: this form has no place for whose."""
    if parcel.expected_delivery_date is not None:
        return parcel.expected_delivery_date.isoformat()
    given = (parcel.document.get("details") or {}).get("expected_delivery_date")
    if given is None and parcel.expected is not None and parcel.expected.day is not None:
        return parcel.expected.day.isoformat()
    return given


def _status(parcel: TrackedParcel, entry: Entry) -> dict[str, str]:
    return {
        "carrier_update_timestamp": v2_moment(entry.effective_at),
        "parcel_status_history_id": told_event_id(parcel.parcel_id, entry.event.sequence),
        "parent_status": slug_of(entry.status, entry.shown),
        "carrier_code": entry.event.carrier_code,
        "carrier_message": entry.event.wording.raw_text,
    }
