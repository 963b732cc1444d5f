"""What a lane's statistics let us expect: the next scan, a delivery day, when it is late. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import sqrt
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
LEAST_EFFORT = 0.15
MOST_EFFORT = 3.0
EARLY_EFFORT = 0.6

DAY = timedelta(days=1)
LAST_SECOND = time(23, 59, 59)


@dataclass(frozen=True, slots=True)
class Expectation:
    """How eagerly to ask in each local hour of the week (168, their mean is 1), and after a scan.

    ``due_after`` says from what age (hours) of the last scan in a phase a next one is likely.
    """

    zone: str
    efforts: tuple[float, ...]
    due_after: Mapping[Phase, float] = dataclasses.field(default_factory=dict)

    def effort(self, at: datetime, journey: Journey) -> float:
        """How much more (over 1) or less than usual asking is worth at ``at``."""
        local = at.astimezone(ZoneInfo(self.zone))
        effort = self.efforts[local.weekday() * HOURS + local.hour]
        last = journey.last_scan_at
        if last is not None and (at - last) / HOUR < self.due_after.get(journey.reading.phase, 0):
            effort *= EARLY_EFFORT
        return effort


def next_scan(lane: LaneStatistics) -> Expectation | None:
    """When scans of the lane are to be expected; None where it has too few to tell.

    The mean delay is least where questions are as dense as the square root of the rate of scans.
    """
    if lane.scans < ENOUGH_SCANS:
        return None
    hours, weekdays = _shares(lane.hours), _shares(lane.weekdays)
    wanted = [sqrt(hours[at % HOURS] * weekdays[at // HOURS]) for at in range(HOURS * DAYS)]
    mean = sum(wanted) / len(wanted)
    efforts = tuple(min(MOST_EFFORT, max(LEAST_EFFORT, one / mean)) for one in wanted)
    return Expectation(
        lane.zone,
        efforts,
        {phase: gap.low for phase, gap in lane.gaps.items() if gap.count >= ENOUGH_JOURNEYS},
    )


def _shares(counts: tuple[int, ...]) -> list[float]:
    """Relative to an even spread."""
    total = sum(counts)
    return [count * len(counts) / total for count in counts]


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
