"""What a lane's past parcels teach: when its scans come, how far apart, how long a journey takes.

A lane here is an account's parcels at one carrier, all of them or those from one country to
another. Pure: samples in, statistics out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from milepost.tracking.vocabulary import Phase

HOUR = timedelta(hours=1)
DAYS = 7
HOURS = 24
RARE = 0.03
"""A weekday with less than this share of a lane's deliveries is none of its working days."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One parcel that ended: its milestones, and its scans as (instant, phase after it)."""

    announced_at: datetime
    first_scan_at: datetime | None
    delivered_at: datetime | None
    scans: Sequence[tuple[datetime, Phase]] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """How many were measured, and their 10th, 50th, 90th and 98th percentiles."""

    count: int = 0
    low: float = 0.0
    middle: float = 0.0
    high: float = 0.0
    highest: float = 0.0


@dataclass(frozen=True, slots=True)
class LaneStatistics:
    """Hours and weekdays are on the carrier's clock (``zone``); Monday is 0.

    ``gaps`` are hours from a scan in a phase to the next, ``handover`` hours from announcement to
    first scan, ``transit`` hours from first scan to delivery, ``working_days`` the same counted in
    days on which the lane delivers.
    """

    zone: str
    hours: tuple[int, ...] = (0,) * HOURS
    weekdays: tuple[int, ...] = (0,) * DAYS
    deliveries: tuple[int, ...] = (0,) * DAYS
    gaps: Mapping[Phase, Spread] = field(default_factory=dict)
    handover: Spread = Spread()
    transit: Spread = Spread()
    working_days: Spread = Spread()

    @property
    def scans(self) -> int:
        """How many scans it is made of."""
        return sum(self.hours)

    def delivers_on(self, weekday: int) -> bool:
        """Whether the lane delivers on that weekday."""
        return self.deliveries[weekday] >= max(1.0, RARE * sum(self.deliveries))


def learn(samples: Iterable[Sample], zone: str) -> LaneStatistics:
    """The statistics of one lane."""
    clock, taken = ZoneInfo(zone), list(samples)
    hours, weekdays, deliveries = [0] * HOURS, [0] * DAYS, [0] * DAYS
    gaps: dict[Phase, list[float]] = defaultdict(list)
    for sample in taken:
        for at, _ in sample.scans:
            local = at.astimezone(clock)
            hours[local.hour] += 1
            weekdays[local.weekday()] += 1
        for (at, phase), (after, _) in pairwise(sorted(sample.scans)):
            gaps[phase].append((after - at) / HOUR)
        if sample.delivered_at is not None:
            deliveries[sample.delivered_at.astimezone(clock).weekday()] += 1
    found = LaneStatistics(zone, tuple(hours), tuple(weekdays), tuple(deliveries))
    return LaneStatistics(
        zone,
        found.hours,
        found.weekdays,
        found.deliveries,
        {phase: spread(measured) for phase, measured in gaps.items()},
        spread((s.first_scan_at - s.announced_at) / HOUR for s in taken if s.first_scan_at),
        spread((end - start) / HOUR for start, end in _journeys(taken)),
        spread(
            float(
                _working_days(start.astimezone(clock).date(), end.astimezone(clock).date(), found)
            )
            for start, end in _journeys(taken)
        ),
    )


def spread(measured: Iterable[float]) -> Spread:
    """The percentiles of what was measured (nearest rank)."""
    ordered = sorted(measured)
    if not ordered:
        return Spread()

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)

    return Spread(len(ordered), at(0.1), at(0.5), at(0.9), at(0.98))


def after_working_days(start: date, days: int, lane: LaneStatistics) -> date:
    """The day that is ``days`` working days of the lane after ``start``."""
    day = start
    while days > 0:
        day += timedelta(days=1)
        days -= lane.delivers_on(day.weekday())
    return day


def to_document(lane: LaneStatistics) -> dict[str, Any]:
    """The form in which statistics are kept."""
    return {
        "zone": lane.zone,
        "hours": lane.hours,
        "weekdays": lane.weekdays,
        "deliveries": lane.deliveries,
        "gaps": {phase.value: _numbers(one) for phase, one in lane.gaps.items()},
        "handover": _numbers(lane.handover),
        "transit": _numbers(lane.transit),
        "working_days": _numbers(lane.working_days),
    }


def from_document(document: Mapping[str, Any]) -> LaneStatistics:
    """The statistics of a document. KeyError or ValueError if it is none of ours."""
    return LaneStatistics(
        zone=document["zone"],
        hours=tuple(document["hours"]),
        weekdays=tuple(document["weekdays"]),
        deliveries=tuple(document["deliveries"]),
        gaps={Phase(phase): Spread(*one) for phase, one in document["gaps"].items()},
        handover=Spread(*document["handover"]),
        transit=Spread(*document["transit"]),
        working_days=Spread(*document["working_days"]),
    )


def _journeys(samples: Iterable[Sample]) -> list[tuple[datetime, datetime]]:
    return [
        (sample.first_scan_at, sample.delivered_at)
        for sample in samples
        if sample.first_scan_at and sample.delivered_at
    ]


def _working_days(start: date, end: date, lane: LaneStatistics) -> int:
    """How many working days of the lane lie after ``start``, up to ``end``."""
    span = max(0, (end - start).days)
    return sum(
        lane.delivers_on((start + timedelta(days=passed)).weekday())
        for passed in range(1, min(span, 365) + 1)
    )


def _numbers(one: Spread) -> list[float]:
    return [one.count, one.low, one.middle, one.high, one.highest]
