"""Golden journeys: what was told, in a short form, and the timeline that must come of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from milepost.tracking.calculated import Facts, Thresholds, calculated, settled
from milepost.tracking.codec import event_from_fact, event_to_fact
from milepost.tracking.events import (
    Event,
    Moment,
    Observation,
    Place,
    Precision,
    Scan,
    ZoneSource,
)
from milepost.tracking.journey import Entry, Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import internal, merge
from milepost.tracking.vocabulary import (
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

FOLDER = Path(__file__).with_name("journeys")
DEFAULTS = ("none", "none", "success", "none")


def paths() -> list[Path]:
    return sorted(FOLDER.glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def save(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def reading(words: str) -> Reading:
    """``attempted refused error receiver``; what is left out from the right is plain."""
    given = words.split()
    phase, exception, status_type, sub_status = (*given, *DEFAULTS[len(given) :])
    return Reading(
        Phase(phase), ExceptionCode(exception), StatusType(status_type), SubStatus(sub_status)
    )


def words(shown: Reading) -> str:
    return " ".join((shown.phase, shown.exception, shown.status_type, shown.sub_status))


def moment(stated: str, home_zone: str) -> Moment:
    """A time with an offset, ``...Z`` (a UTC feed) or a day alone."""
    home = ZoneInfo(home_zone)
    if len(stated) == 10:
        end = datetime.fromisoformat(f"{stated}T23:59:59").replace(tzinfo=home)
        zone = ZoneSource.ASSUMED
        return Moment(stated, end.astimezone(UTC), stated, home_zone, zone, Precision.DAY)
    at = datetime.fromisoformat(stated)
    wall = at.astimezone(home) if stated.endswith("Z") else at
    minute = wall.isoformat()[:16]
    return Moment(stated, at.astimezone(UTC), minute, home_zone, ZoneSource.CARRIER)


def scan(document: Mapping[str, Any], position: int, home_zone: str) -> Scan:
    return Scan(
        scan_class=document["class"],
        raw_code=document.get("code", document["class"]),
        raw_text=document.get("text", ""),
        moment=moment(document["at"], home_zone),
        reading=reading(document["says"]),
        place=Place(city=document.get("city", "")),
        position=position,
        leg="return" if document.get("leg") == "return" else "",
    )


def observations(document: Mapping[str, Any]) -> list[Observation]:
    """Everything told about the journey, our own registration first."""
    zone = document.get("home_zone", "UTC")
    announced = internal(
        datetime.fromisoformat(document["announced_at"]),
        datetime.fromisoformat(document["registered_at"]),
    )
    told = [
        Observation(
            carrier_code=answer.get("carrier", "sandbox"),
            source=answer["source"],
            observed_at=datetime.fromisoformat(answer["at"]).astimezone(UTC),
            scans=tuple(scan(each, at, zone) for at, each in enumerate(answer["scans"])),
            complete=answer.get("complete", answer["source"] == "poll"),
        )
        for answer in document["told"]
    ]
    return [announced, *told]


def stored(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events as they come back from storage."""
    return tuple(
        event_from_fact(
            orjson.loads(orjson.dumps(event_to_fact(event))),
            sequence=event.sequence,
            recorded_at=event.recorded_at,
            withdrawn_at=event.withdrawn_at,
        )
        for event in events
    )


def merged(told: Iterable[Observation]) -> tuple[Event, ...]:
    """The events after all of ``told``, each merge on what storage gives back."""
    events: tuple[Event, ...] = ()
    for observation in told:
        events = merge(stored(events), observation)
    return events


def journey(document: Mapping[str, Any], events: Sequence[Event]) -> Journey:
    """What the events amount to, at the time ``now`` of the document where it says one."""
    announced_at = datetime.fromisoformat(document["announced_at"])
    if "now" in document:
        facts = Facts(read_journey(events, announced_at), was_asked=document.get("asked", True))
        now = datetime.fromisoformat(document["now"])
        events = settled(events, calculated(facts, now, Thresholds()).alarms, now)
    return read_journey(events, announced_at)


def outcome(found: Journey) -> dict[str, Any]:
    """The form in which an expectation is kept."""
    return {
        "status": found.status,
        "reading": words(found.reading),
        "status_at": text(found.status_at),
        "ended_at": text(found.ended_at) if found.ended_at else None,
        "is_return": found.is_return,
        "entries": [_entry(entry) for entry in found.entries],
        "hidden": [event.key for event in found.hidden],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    event = entry.event
    shown = {
        "at": text(entry.effective_at),
        "class": event.scan_class,
        "text": event.wording.raw_text,
        "leg": entry.leg,
        "shown": words(entry.shown),
        "status": entry.status,
        "moves": entry.moves,
    }
    if entry.overruled:
        shown["overruled"] = words(event.wording.reading)
    if event.revisions:
        shown["revisions"] = [wording.raw_text for wording in event.revisions]
    if event.replaced:
        shown["replaced"] = [old.key for old in event.replaced]
    return shown


def text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
