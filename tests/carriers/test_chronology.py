"""The order of events: told either way, mixed, in one instant, in the hour that exists twice."""

from datetime import datetime
from functools import partial

from milepost.carriers.chronology import in_order
from milepost.carriers.moments import read_moment
from milepost.carriers.zones import Zone
from milepost.tracking.events import Moment, ZoneSource

MADRID = Zone("Europe/Madrid", ZoneSource.ASSUMED)
DAY = [("a", "2026-11-03T09:00:00"), ("b", "2026-11-03T12:00:00"), ("c", "2026-11-04T08:00:00")]


def moment(event: tuple[str, str], previous: datetime | None) -> Moment:
    return read_moment(event[1], MADRID, MADRID.name, previous)


def names(events: list[tuple[str, str]], *, newest_first: bool = False) -> str:
    ordered = in_order(events, moment, newest_first=newest_first)
    return "".join(event[0] for _, event in ordered)


def test_the_times_say_which_way_events_are_told_whatever_the_habit() -> None:
    for newest_first in (False, True):
        ordered = partial(names, newest_first=newest_first)
        assert ordered(DAY) == ordered(DAY[::-1]) == ordered([DAY[1], DAY[0], DAY[2]]) == "abc"
        assert ordered([]) == ""


def test_in_one_instant_the_habit_decides() -> None:
    twice = [("a", DAY[0][1]), ("b", DAY[0][1])]
    assert names(twice) == "ab"
    assert names(twice, newest_first=True) == "ba"


def test_the_hour_that_exists_twice_keeps_the_order_told() -> None:
    told = [("a", "2026-10-25T02:50:00"), ("b", "2026-10-25T02:10:00")]
    assert names(told) == names(told[::-1], newest_first=True) == "ab"
    # With others around them the habit does not matter.
    before = [("0", "2026-10-25T01:30:00"), *told, ("z", "2026-10-25T09:00:00")]
    assert names(before) == names(before[::-1]) == "0abz"
    hours = [at.instant.hour for at, _ in in_order(before, moment)]
    assert hours == [23, 0, 1, 8]
