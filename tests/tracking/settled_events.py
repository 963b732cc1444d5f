"""What stands after observations in some order, alarms settled each time as the store does it."""

from collections.abc import Callable, Sequence
from datetime import datetime

from tests.tracking import journey_files
from tests.tracking.order_free import START, numbered

from milepost.tracking.calculated import (
    Alarm,
    Facts,
    Thresholds,
    calculated,
    frozen_thresholds,
    settled,
)
from milepost.tracking.events import Event, Observation
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import merge
from milepost.tracking.vocabulary import EventType

LIMITS = Thresholds()
Settle = Callable[[Sequence[Event], Sequence[Alarm], datetime], tuple[Event, ...]]


def facts_of(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(event for event in events if event.event_type is not EventType.CALCULATED)


def after(
    told: Sequence[Observation],
    now: datetime,
    *,
    settle: Settle = settled,
    thresholds: Thresholds = LIMITS,
) -> tuple[Event, ...]:
    """The events after ``told`` in that order, settled each time and once more at ``now``."""
    events: tuple[Event, ...] = ()
    for observation in [*told, Observation("sandbox", "deadline", now, ())]:
        events = numbered(merge(events, observation))
        facts = Facts(read_journey(facts_of(events), START))
        standing = calculated(facts, now, thresholds, frozen_thresholds(events)).alarms
        events = journey_files.stored(numbered(settle(events, standing, now)))
    return events
