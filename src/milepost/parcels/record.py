"""The one way to write an event: ``record`` turns an observation into rows, in one statement."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from milepost import failpoints
from milepost.carriers.connector import DeliveryEstimate
from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.parcels.render import Renderer
from milepost.parcels.stored import (
    StoredParcel,
    estimate_document,
    event_columns,
    load,
    status_columns,
)
from milepost.tracking.events import Event, Observation
from milepost.tracking.journey import Journey
from milepost.tracking.timeline import Changes, changes, merge

ATTEMPTS = 5
MAX_EVENTS = 2_000
"""Per parcel; below ``EVENT_ID_STRIDE``. A carrier that sends more is cut off, the newest lost."""


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """When the schedule's row is due next: ``due_in`` seconds from now, None for never."""

    urgency: int
    due_in: float | None
    misses: int
    answer_hash: str
    stop_reason: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record did; ``fenced``: another worker holds the parcel, nothing was written."""

    journey: Journey | None
    new_events: int
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What was learnt beside scans."""

    estimate: DeliveryEstimate | None = None
    extra: dict[str, Any] | None = None


Planner = Callable[[Journey, StoredParcel], WatchPlan | None]


class Recorder:
    """Writes observations; what changed and the finished answers go in together."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer

    async def record(
        self,
        account_id: int,
        parcel_id: int,
        observation: Observation,
        now: datetime,
        plan: Planner,
        *,
        news: News | None = None,
        fence: int | None = None,
    ) -> Recorded:
        """Merge ``observation`` into a parcel and store the result with the next plan.

        Reads without a lock and writes only where the revision (and the fence) still stand; read
        again up to five times. Raises DatabaseUnavailable when that many writers were faster.
        """
        for _ in range(ATTEMPTS):
            found = await retrying(lambda: load(self._pool, account_id, [parcel_id]))
            stored = found.get(parcel_id)
            if stored is None:
                return Recorded(None, 0, fenced=True)
            after = apply(stored, observation, news or News(), now)
            journey = self._renderer.journey(after.parcel)
            watch = plan(journey, after.parcel)
            parcel = _stopped(after.parcel, watch, now)
            if await self._write(stored, parcel, journey, after.changes, watch, now, fence):
                return Recorded(journey, len(after.changes.new))
            if fence is not None and not await self._holds(account_id, parcel_id, fence):
                return Recorded(None, 0, fenced=True)
        raise DatabaseUnavailable(f"parcel {parcel_id} changes faster than it can be recorded")

    async def _write(
        self,
        before: StoredParcel,
        parcel: StoredParcel,
        journey: Journey,
        changed: Changes,
        watch: WatchPlan | None,
        now: datetime,
        fence: int | None,
    ) -> bool:
        snapshot = await self._renderer.snapshot(parcel, journey)
        state = _state(parcel, journey)
        state |= {"render_epoch": parcel.epoch, "etag": snapshot.etag}
        failpoints.reach("poll.before_commit")
        written = await retrying(
            lambda: self._pool.fetchval(
                "SELECT record_parcel($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                parcel.account_id,
                parcel.parcel_id,
                before.revision,
                fence,
                now,
                state,
                snapshot.v3,
                snapshot.v2,
                [event_columns(event) for event in changed.new],
                [event_columns(event) for event in changed.revised],
                list(changed.dropped),
                _watch_row(parcel.carrier_code, watch),
            )
        )
        failpoints.reach("poll.after_commit")
        return bool(written)

    async def _holds(self, account_id: int, parcel_id: int, fence: int) -> bool:
        return bool(
            await retrying(
                lambda: self._pool.fetchval(
                    "SELECT holds_fence($1, $2, $3)", account_id, parcel_id, fence
                )
            )
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """A parcel after an observation, and how it differs."""

    parcel: StoredParcel
    changes: Changes


def apply(stored: StoredParcel, observation: Observation, news: News, now: datetime) -> Applied:
    """Merge, number the new events, carry over what was learnt beside them. Pure."""
    merged = merge(stored.events, observation)
    numbered = _numbered(merged, stored.event_count, now)
    changed = changes(stored.events, numbered)
    extra = dict(stored.extra) | {k: v for k, v in (news.extra or {}).items() if v}
    parcel = dataclasses.replace(
        stored,
        events=numbered,
        # Never less than before: the number of an event that is gone is not given out again.
        event_count=max([stored.event_count, *(event.sequence for event in numbered)]),
        estimate=news.estimate or stored.estimate,
        extra=extra,
        updated_at=now,
    )
    return Applied(parcel, changed)


def _numbered(events: tuple[Event, ...], counted: int, now: datetime) -> tuple[Event, ...]:
    fresh = [event for event in events if event.sequence == 0]
    fresh.sort(key=lambda event: (event.wording.moment.instant, event.wording.position, event.key))
    room = max(0, MAX_EVENTS - counted)
    numbers = {event.key: counted + place for place, event in enumerate(fresh[:room], start=1)}
    return tuple(
        dataclasses.replace(event, sequence=numbers[event.key], recorded_at=now)
        if event.sequence == 0
        else event
        for event in events
        if event.sequence or event.key in numbers
    )


def _stopped(parcel: StoredParcel, watch: WatchPlan | None, now: datetime) -> StoredParcel:
    if watch is None:
        return parcel
    stopped_at = now if watch.stop_reason else None
    return dataclasses.replace(parcel, stopped_at=stopped_at, stop_reason=watch.stop_reason)


def _state(parcel: StoredParcel, journey: Journey) -> dict[str, Any]:
    return status_columns(journey) | {
        "first_scan_at": journey.first_scan_at,
        "last_scan_at": journey.last_scan_at,
        "ended_at": journey.ended_at,
        "stopped_at": parcel.stopped_at,
        "stop_reason": parcel.stop_reason,
        "estimate": estimate_document(parcel.estimate),
        "extra": parcel.extra,
        "event_count": parcel.event_count,
    }


def _watch_row(carrier_code: str, watch: WatchPlan | None) -> dict[str, Any] | None:
    if watch is None:
        return None
    return {
        "carrier_code": carrier_code,
        "urgency": watch.urgency,
        "due_in": watch.due_in,
        "misses": watch.misses,
        "answer_hash": watch.answer_hash,
    }
