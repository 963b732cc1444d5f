"""Merging what a source says into the events of a parcel. Pure, and free of order.

An event is identified by carrier, scan class and minute (``telling.key_of``); the same scan told
again, by anyone, in any words, adds a sighting and perhaps a wording. The result is a function of
the set of observations: any order, with any repeats, gives the same events but for ids.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from milepost.tracking.events import (
    Event,
    Moment,
    Observation,
    Scan,
    Sighting,
    Wording,
    ZoneSource,
)
from milepost.tracking.imported import covered, lends_its_id
from milepost.tracking.replacement import replacements
from milepost.tracking.telling import content, first_told, key_of, same_content, told_again
from milepost.tracking.vocabulary import EventType, Phase, Reading

REPLACED_KEPT = 20
"""Replaced events kept per event, the latest told: some carriers re-time a scan every day."""

_RANK = {
    phase: rank
    for rank, phase in enumerate(
        (
            Phase.NONE,
            Phase.UNKNOWN,
            Phase.NO_LABEL,
            Phase.READY_TO_SEND,
            Phase.ANNOUNCING,
            Phase.ANNOUNCED,
            Phase.LABELLED,
            Phase.DROPPED,
            Phase.ACCEPTED,
            Phase.SORTED,
            Phase.IN_TRANSIT,
            Phase.CUSTOMS,
            Phase.IN_DELIVERY,
            Phase.ATTEMPTED,
            Phase.PUP,
            Phase.DELIVERED,
            Phase.DELIVERY_FORCED,
            Phase.CANCELLED,
        )
    )
}


def merge(events: Sequence[Event], observation: Observation) -> tuple[Event, ...]:
    """All events after ``observation``, oldest first; known ones keep their ids.

    New events have sequence 0. One that takes the place of a corrected event inherits its sequence
    and recorded_at. An event to which nothing was added is the very object that was given.
    """
    ledger = _flat(events)
    for scan in observation.scans:
        key = key_of(observation.carrier_code, scan)
        known = ledger.get(key)
        ledger[key] = (
            told_again(known, scan, observation) if known else first_told(key, scan, observation)
        )
    if len(ledger) < 2:
        # As a parcel begins: nothing there that could be in the place of another.
        return tuple(ledger.values())
    return tuple(sorted(_settled(ledger), key=place_of))


def place_of(event: Event) -> tuple[datetime, int, int, str]:
    """Where an event stands on the timeline: by time, then by phase, then as the carrier lists."""
    wording = event.wording
    return event.effective_at, _RANK[wording.reading.phase], wording.position, event.key


def internal(announced_at: datetime, observed_at: datetime) -> Observation:
    """What we say ourselves at registration: the parcel was announced at ``announced_at``.

    A parcel is registered once, so the time is not part of this event's key.
    """
    at = announced_at.astimezone(UTC)
    stated = at.isoformat()
    moment = Moment(stated, at, home_minute="", zone="UTC", zone_source=ZoneSource.CARRIER)
    scan = Scan(
        scan_class="announced",
        raw_code="announced",
        raw_text="Announced",
        moment=moment,
        reading=Reading(Phase.ANNOUNCED),
        event_type=EventType.INTERNAL,
    )
    return Observation("", "internal", observed_at, (scan,))


def _flat(events: Sequence[Event]) -> dict[str, Event]:
    """Every event ever told by key, the replaced ones too."""
    ledger = {old.key: old for event in events for old in event.replaced}
    return ledger | {event.key: event for event in events}


def _settled(ledger: dict[str, Event]) -> list[Event]:
    """The events that stand, each with those it took the place of."""
    successor = covered(ledger.values()) | replacements(ledger.values())
    followers: dict[str, list[Event]] = {}
    for key in successor:
        standing = key
        while standing in successor:
            standing = successor[standing]
        followers.setdefault(standing, []).append(ledger[key])
    return [
        _in_place_of(event, followers.get(event.key, ()))
        for event in ledger.values()
        if event.key not in successor
    ]


def _in_place_of(event: Event, old: Iterable[Event]) -> Event:
    """``event`` with ``old`` behind it. It takes an old one's id only if it has none itself."""
    ordered = sorted(old, key=lambda each: (each.last_seen, each.key))[-REPLACED_KEPT:]
    replaced = tuple(_bare(each) for each in ordered)
    stored = [each for each in ordered if each.sequence and lends_its_id(each, event)]
    if stored and not event.sequence:
        first = min(stored, key=lambda each: each.sequence)
        event = replace(event, sequence=first.sequence, recorded_at=first.recorded_at)
    return event if replaced == event.replaced else replace(event, replaced=replaced)


def _bare(event: Event) -> Event:
    if not (event.sequence or event.recorded_at or event.replaced):
        return event
    return replace(event, sequence=0, recorded_at=None, replaced=())


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to be written after a merge; falsy when nothing has.

    ``new`` (oldest first) need a row. ``revised`` are known by their sequence; their row is written
    anew, the key included. ``dropped`` are sequences of rows to delete, ``dropped_keys`` the keys
    that stand no more. Whether anything *visible* changed is told by comparing journeys.
    """

    new: tuple[Event, ...] = ()
    revised: tuple[Event, ...] = ()
    dropped: tuple[int, ...] = ()
    dropped_keys: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.revised or self.dropped or self.dropped_keys)


def changes(before: Sequence[Event], after: Sequence[Event]) -> Changes:
    """What a merge (and the numbering of its new events) did that is worth a write.

    That a known event was told once more in the same words is not: an unchanged check writes no
    event. Only where it was told beside another that could be in its place is its moved sighting
    stored, once: read without it, the other would have come after the last of this one.
    """
    old_by_key = {event.key: event for event in before}
    old_by_sequence = {event.sequence: event for event in before if event.sequence}
    new: list[Event] = []
    revised: list[Event] = []
    moved: list[tuple[Event, Event]] = []
    for event in sorted(after, key=place_of):
        old = old_by_key.get(event.key) or old_by_sequence.get(event.sequence)
        if old is None:
            new.append(event)
        elif old is event:
            continue
        elif _says_more(old, event):
            revised.append(event)
        else:
            moved.append((old, event))
    revised += _worth_keeping(moved, after)
    kept = {event.sequence for event in after}
    keys = {event.key for event in after}
    return Changes(
        tuple(new),
        tuple(revised),
        tuple(sequence for sequence in old_by_sequence if sequence not in kept),
        tuple(key for key in old_by_key if key not in keys),
    )


def _worth_keeping(moved: Iterable[tuple[Event, Event]], after: Sequence[Event]) -> list[Event]:
    """Of the events that merely were told again, those now listed elsewhere or beside a rival."""
    told: dict[str, set[datetime]] = defaultdict(set)
    if moved:
        for event in _flat(after).values():
            first = {sighting.first_seen for sighting in event.sightings}
            told[event.scan_class] |= first
            told[event.wording.moment.home_minute] |= first
    return [
        event
        for old, event in moved
        if event.wording.position != old.wording.position
        or any(
            old.last_seen < first <= event.last_seen
            for first in told[event.scan_class] | told[event.wording.moment.home_minute]
        )
    ]


def _says_more(old: Event, new: Event) -> bool:
    return (
        old.key != new.key
        or old.sequence != new.sequence
        or old.withdrawn_at != new.withdrawn_at
        or _seen_anew(old.sightings, new.sightings)
        or not same_content(old.wording, new.wording)
        or _contents(old.revisions) != _contents(new.revisions)
        or len(old.replaced) != len(new.replaced)
        or any(_says_more(*pair) for pair in zip(old.replaced, new.replaced, strict=True))
    )


def _seen_anew(old: Sequence[Sighting], new: Sequence[Sighting]) -> bool:
    """Whether a source joined, or was earlier than known, or told it in a complete answer."""
    return [(each.source, each.first_seen, each.complete) for each in old] != [
        (each.source, each.first_seen, each.complete) for each in new
    ]


def _contents(wordings: Sequence[Wording]) -> list[object]:
    return [content(wording) for wording in wordings]
