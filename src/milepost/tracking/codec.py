"""Events as JSON documents for storage, and back, without loss.

Sequence, recorded_at and withdrawn_at are columns of their own and not in the document.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from milepost.tracking.events import (
    Event,
    Moment,
    Place,
    Precision,
    Sighting,
    Wording,
    ZoneSource,
)
from milepost.tracking.vocabulary import (
    EventType,
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

Fact = dict[str, Any]

_PLACE = (
    "city",
    "country_code",
    "postal_code",
    "street",
    "house_number",
    "depot",
    "service_point_id",
)


def event_to_fact(event: Event) -> Fact:
    """The document of an event; empty parts are left out."""
    fact: Fact = {
        "key": event.key,
        "carrier": event.carrier_code,
        "type": event.event_type.value,
        "class": event.scan_class,
        "told": _from_wording(event.wording),
        "seen": [
            [each.source, _text(each.first_seen), _text(each.last_seen), each.complete]
            for each in event.sightings
        ],
    }
    if event.revisions:
        fact["earlier"] = [_from_wording(wording) for wording in event.revisions]
    if event.replaced:
        fact["replaced"] = [event_to_fact(old) for old in event.replaced]
    return fact


def event_from_fact(
    fact: Mapping[str, Any],
    *,
    sequence: int = 0,
    recorded_at: datetime | None = None,
    withdrawn_at: datetime | None = None,
) -> Event:
    """The event of a document. KeyError or ValueError if it is none of ours."""
    return Event(
        key=fact["key"],
        carrier_code=fact["carrier"],
        event_type=_EVENT_TYPES[fact["type"]],
        scan_class=fact["class"],
        wording=_to_wording(fact["told"]),
        sightings=tuple(
            Sighting(source, _time(first), _time(last), complete)
            for source, first, last, complete in fact["seen"]
        ),
        revisions=tuple(map(_to_wording, fact.get("earlier", ()))),
        sequence=sequence,
        recorded_at=recorded_at,
        withdrawn_at=withdrawn_at,
        replaced=tuple(map(event_from_fact, fact.get("replaced", ()))),
    )


def _from_wording(wording: Wording) -> Fact:
    reading = wording.reading
    document: Fact = {
        "source": wording.source,
        "at": _text(wording.observed_at),
        "code": wording.raw_code,
        "text": wording.raw_text,
        "moment": _from_moment(wording.moment),
        "reading": [
            reading.phase.value,
            reading.exception.value,
            reading.status_type.value,
            reading.sub_status.value,
        ],
        "mapping": wording.mapping_version,
    }
    place = {name: value for name in _PLACE if (value := getattr(wording.place, name))}
    optional = {
        "place": place,
        "fields": dict(wording.raw_fields),
        "leg": wording.leg,
        "position": wording.position,
    }
    return document | {name: value for name, value in optional.items() if value}


def _to_wording(document: Mapping[str, Any]) -> Wording:
    leg: Literal["", "return"] = "return" if document.get("leg") == "return" else ""
    return Wording(
        source=document["source"],
        observed_at=_time(document["at"]),
        raw_code=document["code"],
        raw_text=document["text"],
        raw_fields=document.get("fields", {}),
        place=Place(**document["place"]) if "place" in document else _NOWHERE,
        moment=_to_moment(document["moment"]),
        reading=to_reading(*document["reading"]),
        leg=leg,
        position=document.get("position", 0),
        mapping_version=document["mapping"],
    )


_NOWHERE = Place()
# Enum(value) costs ten times a dict's look-up, and a parcel is read far more often than written.
_ZONE_SOURCES = {member.value: member for member in ZoneSource}
_PRECISIONS = {member.value: member for member in Precision}
_EVENT_TYPES = {member.value: member for member in EventType}


@lru_cache(maxsize=1024)
def to_reading(phase: str, exception: str, status_type: str, sub_status: str) -> Reading:
    """The reading that is stored as these words. ValueError if one is none of ours."""
    return Reading(
        Phase(phase), ExceptionCode(exception), StatusType(status_type), SubStatus(sub_status)
    )


def _from_moment(moment: Moment) -> Fact:
    return {
        "stated": moment.stated,
        "instant": _text(moment.instant),
        "minute": moment.home_minute,
        "zone": moment.zone,
        "zone_source": moment.zone_source.value,
        "precision": moment.precision.value,
    }


def _to_moment(document: Mapping[str, Any]) -> Moment:
    return Moment(
        stated=document["stated"],
        instant=_time(document["instant"]),
        home_minute=document["minute"],
        zone=document["zone"],
        zone_source=_ZONE_SOURCES[document["zone_source"]],
        precision=_PRECISIONS[document["precision"]],
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
