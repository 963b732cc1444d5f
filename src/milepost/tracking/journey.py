"""The result of reading a parcel's events: one honest timeline. The fold itself is in ``legs``."""

from dataclasses import dataclass
from datetime import datetime

from milepost.tracking.events import Event
from milepost.tracking.vocabulary import Reading


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in its place on the timeline.

    ``shown`` is what the doors serve: the event's own reading where it moved the parcel, else the
    reading in force after it. ``status`` is the v3 status code (``DELIVERED``) of ``shown``.
    """

    event: Event
    effective_at: datetime
    leg: int
    moves: bool
    overruled: bool
    shown: Reading
    status: str


@dataclass(frozen=True, slots=True)
class Journey:
    """A parcel's timeline, oldest entry first, and what it amounts to.

    ``first_scan_at`` and ``last_scan_at`` are of carrier events; ``ended_at`` is set while the
    parcel's status is terminal. ``hidden`` are scans older than the parcel (a re-used number).
    """

    entries: tuple[Entry, ...]
    hidden: tuple[Event, ...]
    reading: Reading
    status: str
    status_at: datetime
    first_scan_at: datetime | None
    last_scan_at: datetime | None
    ended_at: datetime | None
    is_return: bool
