"""A parcel as it stands in the database, read in one round trip."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from milepost.carriers.connector import DeliveryEstimate
from milepost.db.pool import Connection, Pool
from milepost.tracking.codec import event_from_fact, event_to_fact
from milepost.tracking.events import Event
from milepost.tracking.expectation import MILEPOST, Expected
from milepost.tracking.journey import Journey
from milepost.tracking.milestones import Milestones, milestones


@dataclass(frozen=True, slots=True)
class StoredParcel:
    """One parcel row with its events.

    ``revision`` guards every write that was decided on it; ``epoch`` is the render epoch (the
    account's plus the installation's) that was in force when it was read. ``checked_at`` is when
    the carrier last answered, ``timing`` the milestones as they are kept.
    """

    account_id: int
    parcel_id: int
    revision: int
    carrier_code: str
    tracking_number: str
    source_id: str
    document: Mapping[str, Any]
    announced_at: datetime
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    stopped_at: datetime | None
    stop_reason: str
    estimate: DeliveryEstimate | None
    extra: Mapping[str, Any]
    event_count: int
    lane_state: str
    epoch: int
    events: tuple[Event, ...]
    checked_at: datetime | None = None
    timing: Milestones | None = None
    own_estimate: Expected | None = None


async def load(
    pool: "Pool | Connection", account_id: int, parcel_ids: Sequence[int]
) -> dict[int, StoredParcel]:
    """The named parcels of an account by id; unknown ids are absent."""
    rows = await pool.fetch("SELECT * FROM load_tracked($1, $2)", account_id, list(parcel_ids))
    return {row["parcel_id"]: _parcel(account_id, row) for row in rows}


def estimate_document(told: DeliveryEstimate | None, own: Expected | None) -> dict[str, Any] | None:
    """What is kept in ``parcel.estimate``: the carrier's word and, apart from it, our own guess."""
    if told is None and own is None:
        return None
    return _window(told) | ({"own": _window(own)} if own else {})


def _window(one: DeliveryEstimate | Expected | None) -> dict[str, Any]:
    return {
        "day": one.day.isoformat() if one and one.day else None,
        "earliest": one.earliest.isoformat() if one and one.earliest else None,
        "latest": one.latest.isoformat() if one and one.latest else None,
    }


def countries(parcel: StoredParcel) -> tuple[str, str]:
    """From and to which country it goes."""
    ends = (parcel.document.get(name) or {} for name in ("from_address", "to_address"))
    origin, destination = (str(end.get("country_code") or "") for end in ends)
    return origin, destination


def status_columns(journey: Journey) -> dict[str, Any]:
    """What a journey amounts to, as registering and recording take it."""
    return {
        "phase": journey.reading.phase,
        "exception": journey.reading.exception,
        "status_type": journey.reading.status_type,
        "sub_status": journey.reading.sub_status,
        "status": journey.status,
        "status_at": journey.status_at,
    }


def state_columns(parcel: StoredParcel, journey: Journey) -> dict[str, Any]:
    """What recording writes into a parcel's row, but for its answers."""
    return status_columns(journey) | {
        "first_scan_at": journey.first_scan_at,
        "last_scan_at": journey.last_scan_at,
        "ended_at": journey.ended_at,
        "stopped_at": parcel.stopped_at,
        "stop_reason": parcel.stop_reason,
        "updated_at": parcel.updated_at,
        "estimate": estimate_document(parcel.estimate, parcel.own_estimate),
        "extra": parcel.extra,
        "event_count": parcel.event_count,
    }


def timing_columns(before: StoredParcel, journey: Journey) -> dict[str, Any] | None:
    """The milestones, where they are others than those that are kept."""
    reached = milestones(journey)
    if reached == (before.timing or Milestones()):
        return None
    origin, destination = countries(before)
    names = {"origin_country": origin, "destination_country": destination}
    # asdict() would copy each moment.
    return names | {each.name: getattr(reached, each.name) for each in dataclasses.fields(reached)}


def event_columns(event: Event) -> dict[str, Any]:
    """A row of ``event`` but for whose it is."""
    return {
        "sequence": event.sequence,
        "event_key": event.key,
        "event_type": event.event_type,
        "carrier_code": event.carrier_code,
        "raw_code": event.wording.raw_code,
        "mapping_version": event.wording.mapping_version,
        "fact": event_to_fact(event),
        "withdrawn_at": event.withdrawn_at,
    }


def _estimate(document: Mapping[str, Any] | None) -> DeliveryEstimate | None:
    if document is None or not any(document.get(name) for name in ("day", "earliest", "latest")):
        return None
    return DeliveryEstimate(*_read_window(document))


def _own_estimate(document: Mapping[str, Any] | None) -> Expected | None:
    own = (document or {}).get("own")
    return None if own is None else Expected(MILEPOST, *_read_window(own))


def _read_window(
    document: Mapping[str, str | None],
) -> tuple[date | None, datetime | None, datetime | None]:
    day, earliest, latest = (document.get(name) for name in ("day", "earliest", "latest"))
    return (
        date.fromisoformat(day) if day else None,
        datetime.fromisoformat(earliest) if earliest else None,
        datetime.fromisoformat(latest) if latest else None,
    )


def _timing(document: Mapping[str, str | None] | None) -> Milestones | None:
    if document is None:
        return None
    return Milestones(
        **{name: datetime.fromisoformat(at) if at else None for name, at in document.items()}
    )


def _parcel(account_id: int, row: asyncpg.Record) -> StoredParcel:
    return StoredParcel(
        account_id=account_id,
        parcel_id=row["parcel_id"],
        revision=row["revision"],
        carrier_code=row["carrier_code"],
        tracking_number=row["tracking_number"],
        source_id=row["source_id"],
        document=row["request"],
        announced_at=row["announced_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        ended_at=row["ended_at"],
        stopped_at=row["stopped_at"],
        stop_reason=row["stop_reason"],
        estimate=_estimate(row["estimate"]),
        extra=row["extra"],
        event_count=row["event_count"],
        lane_state=row["lane_state"],
        epoch=row["epoch"],
        events=tuple(_event(item) for item in row["events"] or ()),
        checked_at=row["checked_at"],
        timing=_timing(row["timing"]),
        own_estimate=_own_estimate(row["estimate"]),
    )


def _event(item: Mapping[str, Any]) -> Event:
    withdrawn = item["withdrawn_at"]
    return event_from_fact(
        item["fact"],
        sequence=item["sequence"],
        recorded_at=datetime.fromisoformat(item["recorded_at"]),
        withdrawn_at=datetime.fromisoformat(withdrawn) if withdrawn else None,
    )
