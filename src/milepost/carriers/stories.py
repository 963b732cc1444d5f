"""The stories a simulated carrier tells. Pure: number, beginning and clock are handed in.

A story's clock shows ``begin + (now - begin) * speed + offset``. At speed 1 without an offset that
is simply the real time; faster stories stop their clock ``HORIZON`` after their beginning, so that
a forgotten parcel doesn't run into the next century.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

HORIZON = timedelta(days=120)
FASTEST = 100_000.0
_LATEST = datetime(2099, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoryPlace:
    """Where something happens, and the clock there."""

    city: str
    country: str
    postal_code: str
    zone: str
    service_point: str = ""


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """Something that happens ``at`` hours after the beginning and is told from ``told`` on."""

    at: float
    code: str
    place: str
    text: str
    told: float | None = None
    repeats: int = 1
    rewords: Mapping[float, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens to a parcel. ``down`` are hours in which the carrier can't be asked.

    ``mixed`` lists the events in no order, ``bare_times`` tells them without an offset, and
    ``autumn_night`` moves the story to the next night that zone's clocks go back.
    """

    title: str
    events: tuple[StoryEvent, ...]
    estimate: float | None = None
    signed_by: str = ""
    down: tuple[tuple[float, float], ...] = ()
    mixed: bool = False
    bare_times: bool = False
    autumn_night: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A simulated carrier's stories and the form of the numbers that name them."""

    number: re.Pattern[str]
    places: Mapping[str, StoryPlace]
    stories: Mapping[str, Story]


@dataclass(frozen=True, slots=True)
class Telling:
    """An answer: an HTTP status and a JSON document."""

    status: int
    document: Mapping[str, Any]


_SCRIPT = TypeAdapter(Script)


def read_script(path: Path) -> Script:
    """The stories in a TOML file."""
    with path.open("rb") as file:
        return _SCRIPT.validate_python(tomllib.load(file))


def tell(
    script: Script,
    number: str,
    begin: datetime,
    now: datetime,
    *,
    offset: timedelta = timedelta(),
    speed: float = 1.0,
) -> Telling:
    """What the carrier says about ``number`` at ``now``, the real time.

    ``begin`` is when the parcel was announced. A speed in the number goes before ``speed``.
    """
    named = script.number.fullmatch(number.upper())
    story = script.stories.get(named["story"]) if named else None
    if named is None or story is None:
        return Telling(404, {"error": "unknown_number", "now": _utc(now)})
    pace = min(max(float(named["speed"] or speed), 1.0), FASTEST)
    clock = _clock(begin, now, pace, offset)
    if story.autumn_night:
        noon = _noon_before_autumn_night(begin, ZoneInfo(story.autumn_night))
        clock, begin = clock + (noon - begin), noon
    hours = (clock - begin) / timedelta(hours=1)
    if any(start <= hours < end for start, end in story.down):
        return Telling(503, {"error": "unavailable", "now": _utc(clock)})
    events = _events(script, story, begin, hours)
    if not events:
        return Telling(404, {"error": "not_scanned_yet", "now": _utc(clock)})
    return Telling(200, _document(number, story, begin, clock, events))


def _clock(begin: datetime, now: datetime, pace: float, offset: timedelta) -> datetime:
    if pace == 1 and not offset:
        return now
    passed = min((now - begin).total_seconds() * pace + offset.total_seconds(), 1e10)
    return min(begin + timedelta(seconds=passed), max(now, begin + HORIZON), _LATEST)


def _document(
    number: str, story: Story, begin: datetime, clock: datetime, events: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    delivered = any(event["code"] == "DELIVERED" for event in events)
    expected = begin + timedelta(hours=story.estimate) if story.estimate is not None else None
    return {
        "number": number,
        "now": _utc(clock),
        "estimated_delivery": expected.date().isoformat() if expected else None,
        "signed_by": story.signed_by if delivered else "",
        "events": events,
    }


def _events(script: Script, story: Story, begin: datetime, hours: float) -> list[Mapping[str, Any]]:
    """What the carrier knows by now, oldest first."""
    told = [
        _event(script, story, event, begin, hours)
        for event in story.events
        if (event.at if event.told is None else event.told) <= hours
        for _ in range(event.repeats)
    ]
    # No order, and always the same one: the second half of the list before the first, backwards.
    half = len(told) // 2
    return told[half:] + told[:half][::-1] if story.mixed else told


def _event(
    script: Script, story: Story, event: StoryEvent, begin: datetime, hours: float
) -> Mapping[str, Any]:
    place = script.places[event.place]
    local = (begin + timedelta(hours=event.at)).astimezone(ZoneInfo(place.zone))
    wordings = {event.at: event.text, **event.rewords}
    return {
        "code": event.code,
        "text": wordings[max(hour for hour in wordings if hour <= max(hours, event.at))],
        "time": (local.replace(tzinfo=None) if story.bare_times else local).isoformat(
            "T", "seconds"
        ),
        "city": place.city,
        "country": place.country,
        "postal_code": place.postal_code,
        "service_point": place.service_point,
    }


def _noon_before_autumn_night(after: datetime, zone: ZoneInfo) -> datetime:
    """Noon of the day before the next night in which this zone's clocks go back."""
    noon = after.astimezone(zone).replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
    for days in range(1, 400):
        today, tomorrow = noon + timedelta(days=days), noon + timedelta(days=days + 1)
        if (tomorrow.utcoffset() or timedelta()) < (today.utcoffset() or timedelta()):
            return today.astimezone(UTC)
    return after


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat("T", "milliseconds").replace("+00:00", "Z")
