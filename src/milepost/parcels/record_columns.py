"""What a record writes, in the order in which its statements take it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from milepost.parcels.render import Snapshot
from milepost.parcels.stored import event_columns, state_columns, timing_columns

if TYPE_CHECKING:
    from milepost.parcels.record import Kept, WatchPlan


@dataclass(frozen=True, slots=True)
class Columns:
    """One parcel's part of a record, but for whose it is and what guards it."""

    state: dict[str, Any]
    v3: bytes
    v2: bytes
    new: list[dict[str, Any]]
    revised: list[dict[str, Any]]
    dropped: list[int]
    told: list[dict[str, Any]]
    watch: dict[str, Any] | None
    deadline: datetime | None
    timing: dict[str, Any] | None

    def in_order(self) -> tuple[object, ...]:
        """As ``record_observation`` takes them."""
        return (
            self.state,
            self.v3,
            self.v2,
            self.new,
            self.revised,
            self.dropped,
            self.told,
            self.watch,
            self.deadline,
            self.timing,
        )


def columns(kept: "Kept", snapshot: Snapshot) -> Columns:
    """What there is to write of a parcel that was decided on."""
    parcel, journey, changed = kept.after.parcel, kept.journey, kept.after.changes
    state = state_columns(parcel, journey)
    state |= {"render_epoch": parcel.epoch, "etag": snapshot.etag}
    open_still = journey.ended_at is None and parcel.stopped_at is None
    return Columns(
        state,
        snapshot.v3,
        snapshot.v2,
        [event_columns(event) for event in changed.new],
        [event_columns(event) for event in changed.revised],
        list(changed.dropped),
        [{"sequence": sequence, "kind": kind} for sequence, kind in kept.after.told],
        _watch_row(parcel.carrier_code, kept.watch),
        kept.after.next_deadline if open_still else None,
        timing_columns(kept.before, journey),
    )


def _watch_row(carrier_code: str, watch: "WatchPlan | None") -> dict[str, Any] | None:
    if watch is None:
        return None
    return {
        "carrier_code": carrier_code,
        "urgency": watch.urgency,
        "due_in": watch.due_in,
        "misses": watch.misses,
        "answer_hash": watch.answer_hash,
    }
