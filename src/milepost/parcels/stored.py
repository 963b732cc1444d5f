"""A parcel as it stands in the database, read in one round trip."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from milepost.carriers.connector import DeliveryEstimate
from milepost.db.pool import Connection, Pool
from milepost.tracking.codec import event_from_fact, event_to_fact
from milepost.tracking.events import Event
from milepost.tracking.journey import Journey


@dataclass(frozen=True, slots=True)
class StoredParcel:
    """One parcel row with its events.

    ``revision`` guards every write that was decided on it; ``epoch`` is the render epoch (the
    account's plus the installation's) that was in force when it was read.
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


async def load(
    pool: "Pool | Connection", account_id: int, parcel_ids: Sequence[int]
) -> dict[int, StoredParcel]:
    """The named parcels of an account by id; unknown ids are absent."""
    rows = await pool.fetch("SELECT * FROM load_parcels($1, $2)", account_id, list(parcel_ids))
    return {row["parcel_id"]: _parcel(account_id, row) for row in rows}


def estimate_document(estimate: DeliveryEstimate | None) -> dict[str, str | None] | None:
    """An estimate as it is kept in ``parcel.estimate``."""
    if estimate is None:
        return None
    return {
        "day": estimate.day.isoformat() if estimate.day else None,
        "earliest": estimate.earliest.isoformat() if estimate.earliest else None,
        "latest": estimate.latest.isoformat() if estimate.latest else None,
    }


def status_columns(journey: Journey) -> dict[str, Any]:
    """What a journey amounts to, as ``register_parcel`` and ``record_parcel`` take it."""
    return {
        "phase": journey.reading.phase,
        "exception": journey.reading.exception,
        "status_type": journey.reading.status_type,
        "sub_status": journey.reading.sub_status,
        "status": journey.status,
        "status_at": journey.status_at,
    }


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


def _estimate(document: Mapping[str, str | None] | None) -> DeliveryEstimate | None:
    if document is None:
        return None
    day, earliest, latest = (document.get(name) for name in ("day", "earliest", "latest"))
    return DeliveryEstimate(
        day=date.fromisoformat(day) if day else None,
        earliest=datetime.fromisoformat(earliest) if earliest else None,
        latest=datetime.fromisoformat(latest) if latest else None,
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
    )


def _event(item: Mapping[str, Any]) -> Event:
    withdrawn = item["withdrawn_at"]
    return event_from_fact(
        item["fact"],
        sequence=item["sequence"],
        recorded_at=datetime.fromisoformat(item["recorded_at"]),
        withdrawn_at=datetime.fromisoformat(withdrawn) if withdrawn else None,
    )
