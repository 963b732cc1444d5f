"""Why a parcel has its status, and what was made of each event. Pure.

The verdicts are those the fold gave (``legs``); nothing is judged here a second time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from milepost.tracking.events import Event
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.status import Rule, status_by_rule

REASONS = {
    Verdict.MOVED: "It says where the parcel is.",
    Verdict.OPENED_RETURN_LEG: "It says the parcel goes back to the sender: a return leg begins.",
    Verdict.OPENED_NEW_LEG: (
        "The parcel set out once more, 3 to 30 days after its journey had ended: a new leg begins."
    ),
    Verdict.REOPENED_LEG: (
        "The parcel was under way again 2 hours or more after a delivery: the delivery was wrong."
    ),
    Verdict.DELIVERED_AFTER_END: (
        "The parcel was handed over although its journey had ended on paper."
    ),
    Verdict.NOTICE: "A notice: it says nothing about where the parcel is.",
    Verdict.ANNOUNCED_LATE: (
        "The parcel was registered here after the carrier had scanned it; our announcement is "
        "no news."
    ),
    Verdict.PAPER_AFTER_SCAN: (
        "Label or announcement data that came after a scan of the parcel itself."
    ),
    Verdict.DELIVERED_AGAIN: "The parcel was delivered already.",
    Verdict.AFTER_END: "The parcel's journey had ended, and nothing about it opens a new one.",
    Verdict.RAISED: (
        "A deadline passed without a scan. It stands over what was told last until a scan comes."
    ),
    Verdict.OLDER_THAN_PARCEL: (
        "It happened too long before the parcel was announced: it belongs to an earlier parcel "
        "with the same number."
    ),
    Verdict.WITHDRAWN: "It is no longer true and was withdrawn.",
}

RULES = {
    Rule.HANDED_OVER: "The phase says the parcel was handed over; to whom decides the status.",
    Rule.ATTEMPTED: "The phase says a delivery was attempted, and nothing explains it further.",
    Rule.EXCEPTION: "The exception decides the status; it says more than the phase.",
    Rule.PHASE: "The phase decides the status; there is no exception that says more.",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """An event with what was made of it; ``entry`` is None where it is not on the timeline."""

    event: Event
    effective_at: datetime
    verdict: Verdict
    entry: Entry | None


def judged(journey: Journey) -> Iterator[Judged]:
    """Every event we hold but the replaced ones, each verdict in the order of the timeline."""
    for event in journey.hidden:
        yield Judged(event, event.effective_at, Verdict.OLDER_THAN_PARCEL, None)
    for entry in journey.entries:
        yield Judged(entry.event, entry.effective_at, entry.verdict, entry)
    for event in journey.withdrawn:
        yield Judged(event, event.effective_at, Verdict.WITHDRAWN, None)


def deciding(journey: Journey) -> Entry | None:
    """The event that gave the parcel its status; None where none has moved it yet."""
    return next((entry for entry in reversed(journey.entries) if entry.moves), None)


def rule_of(journey: Journey) -> Rule:
    """Which part of the reading in force gave the status."""
    # Where the parcel waited decides between two statuses, never between two rules.
    return status_by_rule(journey.reading, waited_at_pick_up=False)[1]
