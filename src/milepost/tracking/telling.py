"""One event, told again: sightings and wordings. Every rule here gives the same in any order."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from milepost.tracking.events import Event, Observation, Place, Scan, Sighting, Wording
from milepost.tracking.vocabulary import EventType

REVISIONS_KEPT = 20
"""Older wordings kept per event, the newest; some carriers put the time of asking into the text."""

SOURCE_RANK = {"internal": 0, "import": 1, "file": 2, "poll": 3, "push": 4, "own": 5}
"""Whose wording is shown when two sources spoke at the same instant: the greater."""

_Said = tuple[datetime, int, str]


def key_of(carrier_code: str, scan: Scan) -> str:
    """What identifies a scan within its parcel: carrier, class and minute on the carrier's clock.

    Place, text, mapping and the resolved instant are not in it; blanks and case of the class don't
    count. What is not a carrier's word has its event type in front, so it never meets a scan.
    """
    owner = carrier_code
    if scan.event_type is not EventType.CARRIER:
        owner = f"{scan.event_type}:{carrier_code}"
    return f"{owner}|{class_of(scan)}|{scan.moment.home_minute}"


def class_of(scan: Scan) -> str:
    """The scan class in the form that is compared."""
    return " ".join(storable(scan.scan_class).split()).upper()


def first_told(key: str, scan: Scan, observation: Observation) -> Event:
    """The event a scan makes that nobody told before."""
    at = observation.observed_at
    return Event(
        key=key,
        carrier_code=observation.carrier_code,
        event_type=scan.event_type,
        scan_class=class_of(scan),
        wording=_wording(scan, observation),
        sightings=(Sighting(observation.source, at, at, observation.complete),),
    )


def told_again(event: Event, scan: Scan, observation: Observation) -> Event:
    """``event`` after one more telling; the very same object when that adds nothing."""
    sightings = _sighted(event.sightings, observation)
    wording, revisions = _worded(event, scan, observation)
    if sightings is event.sightings and wording is event.wording and revisions is event.revisions:
        return event
    return Event(
        event.key,
        event.carrier_code,
        event.event_type,
        event.scan_class,
        wording,
        sightings,
        revisions,
        event.sequence,
        event.recorded_at,
        event.withdrawn_at,
        event.replaced,
    )


def _sighted(sightings: tuple[Sighting, ...], observation: Observation) -> tuple[Sighting, ...]:
    source, at, complete = observation.source, observation.observed_at, observation.complete
    for place, known in enumerate(sightings):
        if known.source != source:
            continue
        seen = Sighting(
            source,
            min(known.first_seen, at),
            max(known.last_seen, at),
            known.complete or complete,
        )
        if seen == known:
            return sightings
        return (*sightings[:place], seen, *sightings[place + 1 :])
    added = (*sightings, Sighting(source, at, at, complete))
    return tuple(sorted(added, key=lambda sighting: sighting.source))


def _worded(
    event: Event, scan: Scan, observation: Observation
) -> tuple[Wording, tuple[Wording, ...]]:
    shown = event.wording
    position = max(shown.position, scan.position)
    if same_content(shown, scan):
        said = max(_said(shown), _said(observation))
        return _at(shown, said, position), event.revisions
    told = _wording(scan, observation)
    first, revisions = in_rank((shown, *event.revisions, told), position)
    if revisions == event.revisions:
        revisions = event.revisions
    return (shown if first == shown else first), revisions


def in_rank(wordings: Iterable[Wording], position: int) -> tuple[Wording, tuple[Wording, ...]]:
    """The wording that is shown, at ``position``, and the older ones, newest first.

    Of those that say the same only the latest counts.
    """
    known: dict[object, Wording] = {}
    for wording in wordings:
        twin = known.get(content(wording))
        if twin is None or _said(wording) > _said(twin):
            known[content(wording)] = wording
    ranked = sorted(known.values(), key=_rank, reverse=True)[: REVISIONS_KEPT + 1]
    first = _at(ranked[0], _said(ranked[0]), position)
    return first, tuple(_at(wording, _said(wording), 0) for wording in ranked[1:])


def _at(wording: Wording, said: _Said, position: int) -> Wording:
    """``wording`` as last ``said``, at ``position``."""
    at, _, source = said
    if wording.position == position and wording.observed_at == at and wording.source == source:
        return wording
    return Wording(
        source,
        at,
        wording.raw_code,
        wording.raw_text,
        wording.raw_fields,
        wording.place,
        wording.moment,
        wording.reading,
        wording.leg,
        position,
        wording.mapping_version,
    )


def same_content(one: Wording, other: Wording | Scan) -> bool:
    """Whether two wordings say the same, whoever said it, whenever and wherever in the answer."""
    return (
        one.raw_text == other.raw_text
        and one.raw_code == other.raw_code
        and one.moment == other.moment
        and one.reading == other.reading
        and one.place == other.place
        and one.raw_fields == other.raw_fields
        and one.leg == other.leg
        and one.mapping_version == other.mapping_version
    )


def content(wording: Wording) -> tuple[Any, ...]:
    """What a wording says, in a form that is hashed and put in order."""
    moment, place, reading = wording.moment, wording.place, wording.reading
    return (
        wording.raw_text,
        wording.mapping_version,
        wording.raw_code,
        tuple(sorted(wording.raw_fields.items())),
        (place.city, place.country_code, place.postal_code, place.street),
        (place.house_number, place.depot, place.service_point_id),
        (moment.stated, moment.instant, moment.zone, moment.zone_source, moment.precision),
        (reading.phase, reading.exception, reading.status_type, reading.sub_status),
        (moment.home_minute, wording.leg),
    )


def _said(telling: Wording | Observation) -> _Said:
    return telling.observed_at, SOURCE_RANK.get(telling.source, -1), telling.source


def _rank(wording: Wording) -> tuple[Any, ...]:
    """Which wording is shown: the latest, then the better source, then the greater text."""
    at, source_rank, source = _said(wording)
    return at, source_rank, content(wording), source


def _wording(scan: Scan, observation: Observation) -> Wording:
    texts = (scan.raw_code, scan.raw_text, *scan.raw_fields.values())
    clean = _is_storable("".join((*texts, *scan.raw_fields, *_words(scan.place))))
    return Wording(
        source=observation.source,
        observed_at=observation.observed_at,
        raw_code=scan.raw_code if clean else storable(scan.raw_code),
        raw_text=scan.raw_text if clean else storable(scan.raw_text),
        raw_fields=scan.raw_fields if clean else _storable_fields(scan.raw_fields),
        place=scan.place if clean else Place(*map(storable, _words(scan.place))),
        moment=scan.moment,
        reading=scan.reading,
        leg=scan.leg,
        position=scan.position,
        mapping_version=scan.mapping_version,
    )


def _words(place: Place) -> tuple[str, ...]:
    return (
        place.city,
        place.country_code,
        place.postal_code,
        place.street,
        place.house_number,
        place.depot,
        place.service_point_id,
    )


def _storable_fields(fields: Mapping[str, str]) -> Mapping[str, str]:
    return {storable(name): storable(value) for name, value in fields.items()}


def storable(text: str) -> str:
    """``text`` as PostgreSQL and JSON can hold it: no NUL, no lone surrogate."""
    if _is_storable(text):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
