"""The result of reading a parcel's events: one honest timeline. The fold itself is in ``legs``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from milepost.tracking.events import Event
from milepost.tracking.vocabulary import Reading


class Verdict(StrEnum):
    """What the fold made of an event, by the rule that decided. Told by ``legs`` alone."""

    MOVED = "moved"
    OPENED_RETURN_LEG = "opened_return_leg"
    OPENED_NEW_LEG = "opened_new_leg"
    REOPENED_LEG = "reopened_leg"
    DELIVERED_AFTER_END = "delivered_after_end"
    NOTICE = "notice"
    ANNOUNCED_LATE = "announced_late"
    PAPER_AFTER_SCAN = "paper_after_scan"
    DELIVERED_AGAIN = "delivered_again"
    AFTER_END = "after_end"
    RAISED = "raised"
    OLDER_THAN_PARCEL = "older_than_parcel"
    WITHDRAWN = "withdrawn"


MOVING = frozenset(
    {
        Verdict.MOVED,
        Verdict.OPENED_RETURN_LEG,
        Verdict.OPENED_NEW_LEG,
        Verdict.REOPENED_LEG,
        Verdict.DELIVERED_AFTER_END,
        Verdict.RAISED,
    }
)
"""Verdicts on what decides the status from then on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in its place on the timeline.

    ``shown`` is what the doors serve: the event's own reading where it moved the parcel, else the
    reading in force after it. ``status`` is the v3 status code (``DELIVERED``) of ``shown``.
    """

    event: Event
    effective_at: datetime
    leg: int
    verdict: Verdict
    shown: Reading
    status: str

    @property
    def moves(self) -> bool:
        """Whether the event decided what the parcel's status is."""
        return self.verdict in MOVING

    @property
    def overruled(self) -> bool:
        """Whether it says where the parcel is, and a rule set that aside."""
        return not self.moves and self.verdict is not Verdict.NOTICE


@dataclass(frozen=True, slots=True)
class Journey:
    """A parcel's timeline, oldest entry first, and what it amounts to.

    ``first_scan_at`` and ``last_scan_at`` are of carrier events; ``ended_at`` is set while the
    parcel's status is terminal. ``hidden`` are scans older than the parcel (a re-used number),
    ``withdrawn`` are events that were told and are no longer true.
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
    withdrawn: tuple[Event, ...] = ()
