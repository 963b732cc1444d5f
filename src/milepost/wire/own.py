"""The parcel document of our own API, and what explains it. Pure.

``parcel_document`` is the one form of a parcel outside the published APIs: lists, single reads,
the answers to batches and changes, exports and agents all say it. ``parcels.documents.Documents``
loads what it needs. Every key is always there; null means that nothing is known.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from milepost.tracking.descriptions import describe
from milepost.tracking.events import Event, Sighting, Wording
from milepost.tracking.explain import REASONS, RULES, Judged, deciding, judged, rule_of
from milepost.tracking.journey import MOVING, Entry, Journey
from milepost.tracking.parcel import MonitoringState, TrackedParcel, told_event_id
from milepost.tracking.status import slug_of
from milepost.tracking.vocabulary import Reading
from milepost.wire.moments import v3_moment
from milepost.wire.v3 import expected_delivery, location

Document = dict[str, Any]

REQUEST_PARTS = (
    "from_address",
    "to_address",
    "ship_with",
    "details",
    "parcel_items",
    "insurance",
    "measurements",
    "return_price",
    "shipment",
)
"""The parts of a registration that come back as they were sent."""
CARRIER_EXTRA = (
    "signed_by",
    "service",
    "related_numbers",
    "service_point",
    "held_until",
    "proofs_of_delivery",
)
"""What a carrier says beside its events; what it did not say is left out."""
LATE_AFTER = timedelta(minutes=10)
"""A check that is due for longer is said to be late."""


class Freshness(StrEnum):
    """How far what we say of a parcel can be behind its carrier."""

    CURRENT = "current"
    LATE = "late"
    NEVER_CHECKED = "never_checked"
    NOT_WATCHED = "not_watched"


@dataclass(frozen=True, slots=True)
class CheckTimes:
    """When the carrier last answered, and when it is asked next (UTC); None for never."""

    last_checked_at: datetime | None = None
    next_check_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """All that a document tells."""

    parcel: TrackedParcel
    journey: Journey
    checks: CheckTimes


def parcel_document(described: Described, now: datetime, *, events: bool = True) -> Document:
    """A parcel with its request, its status, how it is watched and its events, newest first.

    Lists leave the events out unless they are asked for.
    """
    parcel, journey = described.parcel, described.journey
    document: Document = {
        "parcel_id": str(parcel.parcel_id),
        "carrier_code": parcel.carrier_code,
        "tracking_number": parcel.tracking_number,
        "tracking_identifier": parcel.tracking_identifier or None,
        "tracking_url": parcel.tracking_url or None,
        "source_id": parcel.source_id,
        "status": _status(journey),
        "monitoring": {"state": parcel.monitoring.state, "reason": parcel.monitoring.reason},
        "last_checked_at": _moment(described.checks.last_checked_at),
        "next_check_at": _moment(described.checks.next_check_at),
        "freshness": _freshness(described, now),
        "expected_delivery": parcel.expected and expected_delivery(parcel.expected),
        "announced_at": v3_moment(parcel.announced_at),
        "created_at": v3_moment(parcel.created_at),
        "updated_at": v3_moment(parcel.updated_at),
        "first_scan_at": _moment(journey.first_scan_at),
        "last_scan_at": _moment(journey.last_scan_at),
        "ended_at": _moment(journey.ended_at),
        "warnings": [{"code": one.code, "message": one.message} for one in parcel.warnings],
        "carrier_extra": {
            name: parcel.extra[name] for name in CARRIER_EXTRA if name in parcel.extra
        },
    }
    document |= {name: parcel.document.get(name) for name in REQUEST_PARTS}
    if events:
        document["events"] = [_event(parcel, entry) for entry in reversed(journey.entries)]
    return document


def explanation(parcel: TrackedParcel, journey: Journey) -> Document:
    """Which event and which rule gave the status, and what was made of every event."""
    decided = deciding(journey)
    rule = rule_of(journey)
    return {
        "parcel_id": str(parcel.parcel_id),
        "carrier_code": parcel.carrier_code,
        "tracking_number": parcel.tracking_number,
        "status": _status(journey),
        "status_rule": {"code": rule, "text": RULES[rule]},
        "decided_by": None if decided is None else _decided(parcel, decided),
        "events": [_judged(parcel, one) for one in reversed(list(judged(journey)))],
    }


def _status(journey: Journey) -> Document:
    return {
        "code": journey.status,
        "parent_status": slug_of(journey.status, journey.reading),
        **_reading(journey.reading),
        "description": describe(journey.reading),
        "at": v3_moment(journey.status_at),
    }


def _reading(reading: Reading) -> Document:
    return {
        "phase": reading.phase,
        "exception": reading.exception,
        "status_type": reading.status_type,
        "sub_status": reading.sub_status,
    }


def _freshness(described: Described, now: datetime) -> Document:
    checks = described.checks
    state = Freshness.CURRENT
    if described.parcel.monitoring.state is not MonitoringState.WATCHING:
        state = Freshness.NOT_WATCHED
    elif checks.next_check_at is not None and checks.next_check_at < now - LATE_AFTER:
        state = Freshness.LATE
    elif checks.last_checked_at is None:
        state = Freshness.NEVER_CHECKED
    age = None if checks.last_checked_at is None else now - checks.last_checked_at
    seconds = None if age is None else max(0, int(age.total_seconds()))
    return {"state": state, "age_seconds": seconds}


def _event(parcel: TrackedParcel, entry: Entry) -> Document:
    wording = entry.event.wording
    return {
        "event_id": told_event_id(parcel.parcel_id, entry.event.sequence),
        "event_at": v3_moment(entry.effective_at),
        "event_type": entry.event.event_type,
        "status": entry.status,
        "parent_status": slug_of(entry.status, entry.shown),
        **_reading(entry.shown),
        "description": describe(entry.shown),
        "leg": entry.leg,
        "carrier_code": entry.event.carrier_code or None,
        "raw_code": wording.raw_code,
        "raw_text": wording.raw_text,
        "precision": wording.moment.precision,
        "stated_at": wording.moment.stated,
        "location": location(wording.place),
        "recorded_at": _moment(entry.event.recorded_at),
    }


def _decided(parcel: TrackedParcel, entry: Entry) -> Document:
    wording = entry.event.wording
    return {
        "event_id": told_event_id(parcel.parcel_id, entry.event.sequence),
        "event_at": v3_moment(entry.effective_at),
        "verdict": entry.verdict,
        "reason": REASONS[entry.verdict],
        **_telling(wording),
    }


def _judged(parcel: TrackedParcel, one: Judged) -> Document:
    event = one.event
    return {
        "event_id": told_event_id(parcel.parcel_id, event.sequence),
        "event_type": event.event_type,
        "event_at": v3_moment(one.effective_at),
        "leg": one.entry.leg if one.entry else 0,
        "ignored": one.verdict not in MOVING,
        "verdict": one.verdict,
        "reason": REASONS[one.verdict],
        "shown": None if one.entry is None else _shown(one.entry),
        **_telling(event.wording),
        "scan_class": event.scan_class,
        "recorded_at": _moment(event.recorded_at),
        "withdrawn_at": _moment(event.withdrawn_at),
        "seen": [_sighting(seen) for seen in event.sightings],
        "earlier_tellings": [_telling(wording) for wording in event.revisions],
        "replaced": [_replaced(old) for old in event.replaced],
    }


def _shown(entry: Entry) -> Document:
    """What the doors say at this event: the status in force after it."""
    return {"status": entry.status, **_reading(entry.shown)}


def _telling(wording: Wording) -> Document:
    """One telling of an event, with what we read in it."""
    return {
        "reading": _reading(wording.reading),
        "raw_code": wording.raw_code,
        "raw_text": wording.raw_text,
        "raw_fields": dict(wording.raw_fields),
        "mapping_version": wording.mapping_version,
        "source": wording.source,
        "told_at": v3_moment(wording.observed_at),
        "stated_at": wording.moment.stated,
        "time_zone": wording.moment.zone,
        "time_zone_source": wording.moment.zone_source,
    }


def _sighting(seen: Sighting) -> Document:
    return {
        "source": seen.source,
        "first_seen": v3_moment(seen.first_seen),
        "last_seen": v3_moment(seen.last_seen),
    }


def _replaced(old: Event) -> Document:
    """An event whose place this one took: the carrier corrected its scan."""
    return {"event_at": v3_moment(old.effective_at), **_telling(old.wording)}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else v3_moment(moment)
