"""When what happened to a parcel, and nothing about whose it is. Pure."""

from dataclasses import dataclass
from datetime import datetime

from milepost.tracking.journey import Journey
from milepost.tracking.vocabulary import Phase


@dataclass(frozen=True, slots=True)
class Milestones:
    """The moments of a journey (UTC), None for what has not happened.

    ``delivered_at`` is of a delivery that stands: to the recipient, and not taken back.
    """

    first_scan_at: datetime | None = None
    in_delivery_at: datetime | None = None
    delivered_at: datetime | None = None
    ended_at: datetime | None = None


def milestones(journey: Journey) -> Milestones:
    """The milestones of a journey."""
    with_driver = next(
        (
            entry.effective_at
            for entry in journey.entries
            if entry.moves and entry.shown.phase is Phase.IN_DELIVERY
        ),
        None,
    )
    handed_over = journey.reading.phase in (Phase.DELIVERED, Phase.DELIVERY_FORCED)
    delivered = journey.ended_at if handed_over and not journey.is_return else None
    return Milestones(journey.first_scan_at, with_driver, delivered, journey.ended_at)
