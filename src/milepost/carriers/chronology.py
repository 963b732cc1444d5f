"""The events of one answer in the order they happened, whichever way the carrier tells them."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from milepost.tracking.events import Moment

Event = TypeVar("Event")


def in_order(
    events: Sequence[Event],
    moment: Callable[[Event, datetime | None], Moment],
    *,
    newest_first: bool = False,
) -> list[tuple[Moment, Event]]:
    """Each event with its moment, from the oldest to the newest.

    ``moment`` reads one event, given the instant of the one before (see ``read_moment``).
    ``newest_first`` is the carrier's habit; no carrier promises one, so the times go before. It
    decides about events of one instant, and in the hour that autumn shows twice.
    """
    if not events:
        return []
    told, first = list(events), moment(events[0], None)
    if len(told) > 1:
        last = moment(told[-1], None)
        if _newest_first(first, last, newest_first):
            told.reverse()
            first = last
    timed = [(first, told[0])]
    for event in told[1:]:
        timed.append((moment(event, timed[-1][0].instant), event))
    timed.sort(key=lambda pair: pair[0].instant)
    return timed


def _newest_first(first: Moment, last: Moment, habit: bool) -> bool:
    if abs(first.instant - last.instant) <= timedelta(hours=1):
        return habit
    return first.instant > last.instant
