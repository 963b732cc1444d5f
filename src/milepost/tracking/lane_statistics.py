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
LONGEST_WAIT = 14 * HOURS
DOUBT = 6.0
"""Hours of waiting at the mean rate that are believed of every hour, and weekday, beforehand."""
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

    ``gaps`` are hours from a scan in a phase to the next; ``rates`` tell by phase how many scans
    come in an hour of waiting for one, at each hour of the day, ``weekday_rates`` the same of all
    phases on each weekday (``ANNOUNCED``: before the first scan). ``handover`` is hours from
    announcement to first scan, ``transit`` hours from first scan to delivery, ``working_days`` the
    same counted in days on which the lane delivers.
    """

    zone: str
    hours: tuple[int, ...] = (0,) * HOURS
    weekdays: tuple[int, ...] = (0,) * DAYS
    deliveries: tuple[int, ...] = (0,) * DAYS
    gaps: Mapping[Phase, Spread] = field(default_factory=dict)
    rates: Mapping[Phase, tuple[float, ...]] = field(default_factory=dict)
    weekday_rates: tuple[float, ...] = (0.0,) * DAYS
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
    waits = _Waits(clock)
    for sample in taken:
        for at, _ in sample.scans:
            local = at.astimezone(clock)
            hours[local.hour] += 1
            weekdays[local.weekday()] += 1
        for (at, phase), (after, _) in pairwise(sorted(sample.scans)):
            gaps[phase].append((after - at) / HOUR)
            waits.add(phase, at, after)
        if sample.first_scan_at is not None:
            waits.add(Phase.ANNOUNCED, sample.announced_at, sample.first_scan_at)
        if sample.delivered_at is not None:
            deliveries[sample.delivered_at.astimezone(clock).weekday()] += 1
    found = LaneStatistics(zone, tuple(hours), tuple(weekdays), tuple(deliveries))
    return LaneStatistics(
        zone,
        found.hours,
        found.weekdays,
        found.deliveries,
        {phase: spread(measured) for phase, measured in gaps.items()},
        waits.rates(),
        waits.weekday_rates(),
        spread((s.first_scan_at - s.announced_at) / HOUR for s in taken if s.first_scan_at),
        spread((end - start) / HOUR for start, end in _journeys(taken)),
        spread(
            float(
                _working_days(start.astimezone(clock).date(), end.astimezone(clock).date(), found)
            )
            for start, end in _journeys(taken)
        ),
    )


class _Waits:
    """For how many hours scans were waited for, and how many came, by local hour and weekday."""

    def __init__(self, clock: ZoneInfo) -> None:
        self._clock = clock
        self._waited: dict[Phase, list[float]] = defaultdict(lambda: [0.0] * (DAYS * HOURS))
        self._came: dict[Phase, list[int]] = defaultdict(lambda: [0] * (DAYS * HOURS))

    def add(self, phase: Phase, start: datetime, end: datetime) -> None:
        """One wait for a scan that came at ``end``. A wait of months counts as one of a fortnight:
        nobody asked for it any oftener."""
        if end <= start:
            return
        local = start.astimezone(self._clock)
        waited, at = self._waited[phase], local.weekday() * HOURS + local.hour
        left = min((end - start) / HOUR, LONGEST_WAIT)
        step = 1 - (local.minute * 60 + local.second) / 3600
        while left > 0:
            waited[at] += min(step, left)
            left -= step
            step, at = 1.0, (at + 1) % (DAYS * HOURS)
        local = end.astimezone(self._clock)
        self._came[phase][local.weekday() * HOURS + local.hour] += 1

    def rates(self) -> dict[Phase, tuple[float, ...]]:
        """By hour of the day, each a little like its neighbours."""
        found = {}
        for phase, hours in self._waited.items():
            came = [sum(self._came[phase][hour::HOURS]) for hour in range(HOURS)]
            waited = [sum(hours[hour::HOURS]) for hour in range(HOURS)]
            found[phase] = _rates(list(zip(_smooth(came), _smooth(waited), strict=True)))
        return found

    def weekday_rates(self) -> tuple[float, ...]:
        """Of all phases."""
        came, waited = [0] * DAYS, [0.0] * DAYS
        for phase, hours in self._waited.items():
            for at, one in enumerate(hours):
                waited[at // HOURS] += one
                came[at // HOURS] += self._came[phase][at]
        return _rates(list(zip(came, waited, strict=True)))


def _smooth(counts: Sequence[float]) -> list[float]:
    return [
        (counts[at - 1] + 2 * counts[at] + counts[(at + 1) % len(counts)]) / 4
        for at in range(len(counts))
    ]


def _rates(near: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Scans an hour of waiting, where so many came while so many hours were waited."""
    mean = sum(came for came, _ in near) / max(sum(waited for _, waited in near), 1.0)
    return tuple(round((came + DOUBT * mean) / (waited + DOUBT), 4) for came, waited in near)


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
        "rates": {phase.value: rates for phase, rates in lane.rates.items()},
        "weekday_rates": lane.weekday_rates,
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
        # Half a day after an upgrade every lane has them.
        rates={Phase(phase): tuple(one) for phase, one in document.get("rates", {}).items()},
        weekday_rates=tuple(document.get("weekday_rates", (0.0,) * DAYS)),
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
