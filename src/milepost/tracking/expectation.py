"""What a lane's statistics let us expect: the next scan, a delivery day, when it is late. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import inf, sqrt
from zoneinfo import ZoneInfo

from milepost.tracking.calculated import Thresholds
from milepost.tracking.journey import Journey
from milepost.tracking.lane_statistics import (
    DAYS,
    HOUR,
    HOURS,
    LaneStatistics,
    Spread,
    after_working_days,
)
from milepost.tracking.vocabulary import Phase

ENOUGH_SCANS = 100
ENOUGH_JOURNEYS = 30
"""Fewer teach nothing: settings and defaults hold."""
LEAST_EFFORT = 0.08
MOST_EFFORT = 4.0
EARLY_EFFORT = 0.4
"""Before the age at which one in ten has had its next scan."""
LATE_EFFORT = 0.3
"""After the age at which 98 in 100 have."""
USUAL_WAIT = 6.0
"""Hours: the settings' intervals are meant for a lane where a scan is waited for so long."""

DAY = timedelta(days=1)
LAST_SECOND = time(23, 59, 59)


_EVERY_HOUR = (1.0,) * HOURS
_USUAL_HOURS: Mapping[Phase, tuple[float, ...]] = {
    Phase.ANNOUNCED: tuple(1.0 if 12 <= hour < 22 else 0.4 for hour in range(HOURS)),
    Phase.IN_DELIVERY: tuple(1.0 if 8 <= hour < 20 else 0.25 for hour in range(HOURS)),
}
_USUAL_WEEKDAYS = (1.0,) * 6 + (0.4,)
"""Assumed where nothing was learnt: parcels are collected after noon and delivered in daylight, and
little happens on Sundays."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """How eagerly to ask: by phase in each local hour of the day, by weekday, and after a scan.

    1 is as the settings say, and so is a phase that is not named. ``due_after`` and ``late_after``
    say from what age (hours) of the last scan in a phase a next one is likely, and from what age
    hardly any still comes.
    """

    zone: str
    hours: Mapping[Phase, tuple[float, ...]]
    weekdays: tuple[float, ...] = (1.0,) * DAYS
    due_after: Mapping[Phase, float] = dataclasses.field(default_factory=dict)
    late_after: Mapping[Phase, float] = dataclasses.field(default_factory=dict)

    def efforts(self, since: datetime, journey: Journey) -> Iterator[tuple[float, float]]:
        """For one hour after the other, without end: what is left of it in seconds, and how much
        more (over 1) or less than usual asking is worth in it."""
        phase = _waiting_in(journey)
        hours = self.hours.get(phase, _EVERY_HOUR)
        local = since.astimezone(ZoneInfo(self.zone))
        weekday, hour = local.weekday(), local.hour
        due, late, age = 0.0, inf, 0.0
        if journey.last_scan_at is not None:
            due, late = self.due_after.get(phase, due), self.late_after.get(phase, late)
            age = (since - journey.last_scan_at) / HOUR
        left = 3600.0 - local.minute * 60 - local.second
        while True:
            effort = hours[hour] * self.weekdays[weekday]
            if age < due:
                effort *= EARLY_EFFORT
            elif age > late:
                effort *= LATE_EFFORT
            yield left, min(MOST_EFFORT, max(LEAST_EFFORT, effort))
            age += left / 3600
            # A clock that is changed within the next hours is an hour off until the next question.
            left, hour = 3600.0, (hour + 1) % HOURS
            weekday = (weekday + (hour == 0)) % DAYS


def _waiting_in(journey: Journey) -> Phase:
    """Whatever comes before the first scan is one phase."""
    return Phase.ANNOUNCED if journey.first_scan_at is None else journey.reading.phase


def usual(zone: str) -> Expectation:
    """What to expect of a carrier, by its clock, of whose lane nothing was learnt yet."""
    return Expectation(zone, _USUAL_HOURS, _USUAL_WEEKDAYS)


def next_scan(lane: LaneStatistics) -> Expectation | None:
    """When scans of the lane are to be expected; None where it has too few to tell.

    The mean delay is least where questions are as dense as the square root of the rate of scans:
    of the rate itself, so that a lane with few scans is asked about seldom.
    """
    if lane.scans < ENOUGH_SCANS or not lane.rates:
        return None
    known = {phase: gap for phase, gap in lane.gaps.items() if gap.count >= ENOUGH_JOURNEYS}
    learnt = {
        phase: tuple(sqrt(rate * USUAL_WAIT) for rate in rates)
        for phase, rates in lane.rates.items()
        if phase in known or (phase is Phase.ANNOUNCED and lane.handover.count >= ENOUGH_JOURNEYS)
    }
    mean = sum(lane.weekday_rates) / DAYS
    return Expectation(
        lane.zone,
        {**_USUAL_HOURS, **learnt},
        tuple(sqrt(rate / mean) for rate in lane.weekday_rates),
        {phase: gap.low for phase, gap in known.items()},
        {phase: gap.highest for phase, gap in known.items()},
    )


def thresholds(defaults: Thresholds, lane: LaneStatistics | None) -> Thresholds:
    """What is too long on this lane; the defaults where its history is too short."""
    if lane is None:
        return defaults
    sorting = [gap for phase in _SORTING if (gap := lane.gaps.get(phase)) is not None]
    gaps = list(lane.gaps.values())
    learned = {
        "handover": _late([lane.handover], 1.25, 1, 14),
        "sorting": _late(sorting, 1.25, 1, 14),
        "off_radar": _late(gaps, 1.5, 3, 21),
        "delivery": _late([lane.transit], 1.1, 2, 45),
    }
    known = {name: wait for name, wait in learned.items() if wait is not None}
    return dataclasses.replace(defaults, **known, learned=frozenset(known))


_SORTING = (Phase.DROPPED, Phase.ACCEPTED, Phase.SORTED)


def _late(spreads: list[Spread], factor: float, least: int, most: int) -> timedelta | None:
    """Somewhat more than all but 2 in 100 took, within ``least`` and ``most`` days."""
    enough = [one for one in spreads if one.count >= ENOUGH_JOURNEYS]
    if not enough:
        return None
    wait = max(one.highest for one in enough) * factor * HOUR
    return min(max(wait, least * DAY), most * DAY)


CARRIER, SENDER, MILEPOST = "carrier", "sender", "milepost"


@dataclass(frozen=True, slots=True)
class Expected:
    """When a parcel should arrive (a day, a window in UTC) and whose word that is.

    ``source``: the ``carrier``'s, else the ``sender``'s at registration, else ``milepost``'s own
    estimate from the account's past parcels, which is nobody's promise.
    """

    source: str
    day: date | None = None
    earliest: datetime | None = None
    latest: datetime | None = None

    @property
    def promised_until(self) -> datetime | None:
        """The end (UTC) of what was promised; None where nobody promised anything."""
        if self.source == MILEPOST:
            return None
        if self.latest is not None or self.day is None:
            return self.latest
        return datetime.combine(self.day, LAST_SECOND, tzinfo=UTC)


def estimated(journey: Journey, lane: LaneStatistics | None) -> Expected | None:
    """Our own guess from the lane's working days; None where it has too few to tell.

    Eight in ten of the lane's parcels arrived within the window, counted from their first scan.
    """
    first = journey.first_scan_at
    if lane is None or first is None or journey.ended_at is not None or journey.is_return:
        return None
    days = lane.working_days
    if days.count < ENOUGH_JOURNEYS:
        return None
    clock = ZoneInfo(lane.zone)
    start = first.astimezone(clock).date()
    low, middle, high = (
        after_working_days(start, round(count), lane)
        for count in (days.low, days.middle, days.high)
    )
    return Expected(
        MILEPOST,
        middle,
        datetime.combine(low, time.min, tzinfo=clock).astimezone(UTC),
        datetime.combine(high, LAST_SECOND, tzinfo=clock).astimezone(UTC),
    )
