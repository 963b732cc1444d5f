"""From a time as a carrier prints it to a ``Moment``: what it says, when it was, how we know."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Precision, ZoneSource

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)

# datetime.fromisoformat takes week dates and times without separators too: not what anyone prints.
_ISO = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?P<offset>Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


def read_moment(
    stated: str, zone: Zone, home_zone: str, previous: datetime | None = None
) -> Moment:
    """The moment an ISO 8601 text states.

    A time without an offset is local time of ``zone``. In the hour that autumn shows twice the
    first is taken, unless only the second comes after ``previous``, the scan before (UTC). One in
    the hour that spring skips is of a clock nobody has put forward yet. ``Z`` is
    put on ``home_zone``'s clock for the minute that identifies the scan. Times outside 1990 to 2100
    are moved to that range. Raises CarrierParseError for anything else than a date or a time.
    """
    match = _ISO.fullmatch(stated.strip())
    if match is None:
        raise CarrierParseError(f"not a time: {stated[:40]!r}")
    try:
        if match["time"] is None:
            return _day(stated, match["day"], zone)
        if match["offset"] is None:
            wall = datetime.fromisoformat(f"{match['day']}T{match['time']}")
            return _local(stated, wall, zone, previous)
        aware = datetime.fromisoformat(f"{match['day']}T{match['time']}{match['offset']}")
        return _with_offset(stated, aware, match["offset"], home_zone)
    except (ValueError, OverflowError) as error:
        raise CarrierParseError(f"not a time: {stated[:40]!r}") from error


def read_printed(
    stated: str, form: str, zone: Zone, home_zone: str, previous: datetime | None = None
) -> Moment:
    """Like ``read_moment``, for a time printed in another form (as ``datetime.strptime`` takes it).

    A form without hours states a day. What was stated stays as it was printed. Raises
    CarrierParseError for anything else.
    """
    try:
        wall = datetime.strptime(stated.strip(), form)  # noqa: DTZ007 - the zone comes below
    except ValueError as error:
        raise CarrierParseError(f"not a time: {stated[:40]!r}") from error
    # The ISO form is read, so that there is one rule for zones, autumn nights and far years.
    if "%H" in form or "%I" in form:
        iso = f"{wall.replace(tzinfo=None).isoformat(timespec='seconds')}{wall.strftime('%z')}"
    else:
        iso = wall.date().isoformat()
    return replace(read_moment(iso, zone, home_zone, previous), stated=stated)


def is_clamped(moment: Moment) -> bool:
    """Whether the stated time was outside 1990 to 2100."""
    return not EARLIEST < moment.instant < LATEST


def _day(stated: str, day: str, zone: Zone) -> Moment:
    # Where midnight goes back to eleven, the day ends the second time.
    end = datetime.fromisoformat(f"{day}T23:59:59").replace(tzinfo=ZoneInfo(zone.name), fold=1)
    return Moment(stated, _instant(end), day, zone.name, zone.source, Precision.DAY)


def _local(stated: str, wall: datetime, zone: Zone, previous: datetime | None) -> Moment:
    first = _instant(wall.replace(tzinfo=ZoneInfo(zone.name)))
    second = _instant(wall.replace(tzinfo=ZoneInfo(zone.name), fold=1))
    instant = second if previous is not None and first < previous <= second else first
    return Moment(stated, instant, _minute(wall), zone.name, zone.source)


def _with_offset(stated: str, aware: datetime, offset: str, home_zone: str) -> Moment:
    instant = _instant(aware)
    if offset == "Z":
        at_home = instant.astimezone(ZoneInfo(home_zone))
        return Moment(stated, instant, _minute(at_home), "UTC", ZoneSource.CARRIER)
    return Moment(stated, instant, _minute(aware), f"UTC{offset}", ZoneSource.CARRIER)


def _instant(aware: datetime) -> datetime:
    # Year 1 and year 9999 overflow when moved to UTC, so they are clamped before.
    if EARLIEST.year < aware.year < LATEST.year - 1:
        return aware.astimezone(UTC)
    naive = aware.replace(tzinfo=None)
    if naive < EARLIEST.replace(tzinfo=None) + timedelta(days=1):
        return EARLIEST
    if naive > LATEST.replace(tzinfo=None) - timedelta(days=1):
        return LATEST
    return aware.astimezone(UTC)


def _minute(wall: datetime) -> str:
    # strftime takes ten times as long, and this is asked for every scan of every answer.
    return wall.isoformat(timespec="minutes")[:16]
