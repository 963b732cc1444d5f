"""Made-up parcels: when each is registered, scanned, and when its carrier publishes the scan.

Every number here is an assumption, chosen to look like parcels in Europe, none is measured: labels
are printed in office hours, collected in the late afternoon, sorted at night, out for delivery in
the morning; nothing moves on Sundays. What goes wrong: 3 % of labels are never used, 0.6 % of the
parcels get lost, 4 % are held up, 8 % find nobody at home and two in five of those wait at a
pick-up point, where an eighth is never fetched and goes back.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from milepost.tracking.vocabulary import Phase

HOUR, DAY = 3600, 86_400
START = datetime(2026, 3, 9, tzinfo=UTC)
"""A Monday. Clocks change on the 29th."""
DAYS = 30
END = DAYS * DAY

LABELS_BY_HOUR = (1, 0, 0, 0, 0, 1, 2, 5, 9, 12, 13, 12, 9, 10, 11, 10, 8, 5, 3, 3, 4, 4, 3, 2)
LABELS_BY_WEEKDAY = (24, 20, 18, 17, 15, 4, 4)
OFFICE_DAYS, DELIVERY_DAYS = range(5), range(6)
NEVER_SCANNED, LOST, HELD_UP, NOBODY_HOME = 0.03, 0.006, 0.04, 0.08
TO_PICK_UP_POINT, NEVER_FETCHED = 0.4, 0.125


@dataclass(frozen=True, slots=True)
class Stage:
    """One scan: so many days after the one before, from ``hour`` on, mostly within ``width``."""

    phase: Phase
    days: tuple[int, ...]
    hour: float
    width: float
    chance: float = 1.0
    on: range = DELIVERY_DAYS


@dataclass(frozen=True, slots=True)
class Service:
    """How one carrier moves parcels. ``lag`` is the mean time (s) until a scan is published;
    with ``feed`` scans are published only every so many seconds."""

    name: str
    share: float
    stages: tuple[Stage, ...]
    lag: float = 600
    feed: int = 0
    zone: str = "Europe/Amsterdam"
    batch_size: int = 1
    per_second: float = 5.0


@dataclass(frozen=True, slots=True)
class Told:
    """One scan: seconds since ``START`` at which it happened and could be asked for."""

    published: int
    happened: int
    phase: Phase


@dataclass(slots=True)
class Parcel:
    """``registered`` in seconds since ``START``; scans as they are published."""

    registered: int
    scans: Sequence[Told] = field(default_factory=list)


_COLLECTED = Stage(Phase.ACCEPTED, (0, 0, 0, 0, 1), 16, 2.5, on=OFFICE_DAYS)
_OUT = Stage(Phase.IN_DELIVERY, (0,), 7.5, 1.5)
_DELIVERED = Stage(Phase.DELIVERED, (0,), 9.5, 5)
OVERNIGHT = Service(
    "overnight",
    0.35,
    (
        _COLLECTED,
        Stage(Phase.SORTED, (0,), 19.5, 2.5, 0.9),
        Stage(Phase.IN_TRANSIT, (1,), 0.5, 3.5, 0.8),
        Stage(Phase.SORTED, (0,), 5, 1.5, 0.9),
        _OUT,
        _DELIVERED,
    ),
)
TWO_DAYS = Service(
    "two or three days",
    0.30,
    (
        _COLLECTED,
        Stage(Phase.SORTED, (0,), 19, 3, 0.9),
        Stage(Phase.IN_TRANSIT, (1, 1, 2), 2, 5, 0.8),
        Stage(Phase.IN_TRANSIT, (0, 1), 17, 5, 0.7),
        Stage(Phase.SORTED, (1,), 5, 2),
        replace(_OUT, days=(0, 0, 0, 0, 1)),
        _DELIVERED,
    ),
    lag=900,
)
ABROAD = Service(
    "abroad",
    0.20,
    (
        _COLLECTED,
        Stage(Phase.SORTED, (0, 1), 20, 3),
        Stage(Phase.IN_TRANSIT, (1,), 2, 4, 0.8, OFFICE_DAYS),
        Stage(Phase.IN_TRANSIT, (1, 2), 9, 8, 0.9, OFFICE_DAYS),
        Stage(Phase.CUSTOMS, (0, 1), 10, 6, 0.3, OFFICE_DAYS),
        Stage(Phase.IN_TRANSIT, (1, 1, 2, 3), 11, 5, 0.6, OFFICE_DAYS),
        Stage(Phase.SORTED, (1, 2), 20, 5),
        Stage(Phase.SORTED, (1,), 5, 2, 0.9),
        replace(_OUT, days=(0, 0, 1)),
        _DELIVERED,
    ),
    lag=1800,
)
ECONOMY = Service(
    "economy",
    0.15,
    (
        Stage(Phase.ACCEPTED, (0, 1, 1, 2), 14, 5),
        Stage(Phase.SORTED, (1, 2, 3), 9, 9),
        Stage(Phase.IN_TRANSIT, (1, 2, 4), 6, 12, 0.7),
        Stage(Phase.SORTED, (2, 3, 5), 6, 8, 0.8),
        Stage(Phase.DELIVERED, (1, 2), 10, 4),
    ),
    lag=1800,
    feed=4 * HOUR,
)
USUAL = (OVERNIGHT, TWO_DAYS, ABROAD, ECONOMY)


def parcels(service: Service, count: int, seed: int, *, shift: int = 0) -> list[Parcel]:
    """``count`` parcels of a month. ``shift``: the carrier lives by a clock so many seconds off."""
    dice = random.Random(f"{seed} {service.name}")
    days = list(range(DAYS))
    weights = [LABELS_BY_WEEKDAY[day % 7] for day in days]
    made = []
    for day in dice.choices(days, weights, k=count):
        hour = dice.choices(range(24), LABELS_BY_HOUR)[0]
        local = day * DAY + hour * HOUR + dice.randrange(HOUR)
        scans = _scans(service, local, dice)
        made.append(
            Parcel(
                _instant(local, service.zone) + shift,
                sorted(
                    (
                        _told(phase, _instant(at, service.zone) + shift, service, dice)
                        for at, phase in scans
                    ),
                    key=lambda told: (told.published, told.happened),
                ),
            )
        )
    return made


def _told(phase: Phase, happened: int, service: Service, dice: random.Random) -> Told:
    published = happened + int(dice.expovariate(1 / service.lag))
    if service.feed:
        published = -(-published // service.feed) * service.feed
    return Told(published, happened, phase)


def _scans(service: Service, local: int, dice: random.Random) -> list[tuple[int, Phase]]:
    if dice.random() < NEVER_SCANNED:
        return []
    made: list[tuple[int, Phase]] = []
    held_up = dice.randrange(len(service.stages)) if dice.random() < HELD_UP else -1
    at = local
    for place, stage in enumerate(service.stages):
        if stage.chance < 1 and dice.random() > stage.chance:
            continue
        if place == held_up:
            at += dice.choice((1, 1, 2)) * DAY
        at = _next(at, stage, dice)
        if stage.phase is Phase.DELIVERED and dice.random() < NOBODY_HOME:
            return _cut(made + _nobody_home(at, service, dice), dice)
        made.append((at, stage.phase))
    return _cut(made, dice)


def _cut(made: list[tuple[int, Phase]], dice: random.Random) -> list[tuple[int, Phase]]:
    """A lost parcel's scans end somewhere."""
    return made[: dice.randint(1, len(made) - 1)] if dice.random() < LOST else made


def _nobody_home(at: int, service: Service, dice: random.Random) -> list[tuple[int, Phase]]:
    made = [(at, Phase.ATTEMPTED)]
    if dice.random() > TO_PICK_UP_POINT:
        out = _next(at, replace(_OUT, days=(1,)), dice)
        return [*made, (out, Phase.IN_DELIVERY), (_next(out, _DELIVERED, dice), Phase.DELIVERED)]
    there = _next(at, Stage(Phase.PUP, (0, 1), 17, 2), dice)
    made.append((there, Phase.PUP))
    if dice.random() > NEVER_FETCHED:
        fetched = Stage(Phase.DELIVERED, (0, 1, 1, 2, 2, 3, 4, 6), 9, 9)
        return [*made, (_next(there, fetched, dice), Phase.DELIVERED)]
    back = _next(there, Stage(Phase.IN_TRANSIT, (7, 8), 17, 3), dice)
    home = Stage(Phase.DELIVERED, (2, 3, 4), 10, 6, on=OFFICE_DAYS)
    return [*made, (back, Phase.IN_TRANSIT), (_next(back, home, dice), Phase.DELIVERED)]


def _next(after: int, stage: Stage, dice: random.Random) -> int:
    """The next time of this kind: a gamma of shape 2 from its hour on, three widths at most."""
    day = after // DAY + dice.choice(stage.days)
    offset = min(dice.gammavariate(2, stage.width / 3.5), 3 * stage.width)
    while True:
        at = int(day * DAY + (stage.hour + offset) * HOUR)
        if at > after and day % 7 in stage.on:
            return at
        if at <= after and day % 7 in stage.on and after < day * DAY + 22 * HOUR:
            # Too late for its hour and not for the day: shortly.
            return after + int(dice.gammavariate(2, 900)) + 60
        day += 1


def _instant(local: int, zone: str) -> int:
    return local - _offset(local // DAY, zone)


@cache
def _offset(day: int, zone: str) -> int:
    there = (START + timedelta(days=day)).replace(tzinfo=ZoneInfo(zone)).utcoffset()
    return int(there.total_seconds()) if there else 0
