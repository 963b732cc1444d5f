"""Which events a carrier has corrected: a scan that vanished while a new one took its place.

An event gives way to another of its carrier when one source that told it

1. has told the other one in a complete answer, and never while it still told the first,
2. the two are of the same class within 24 hours, or of different classes in the same minute,
3. and nobody has told the first one since.

Absence alone removes nothing, and where more than one pairing is possible all events stay. All of
it is read off the sightings, so it comes out the same in whatever order answers arrive. Rule 3
also makes a chain of replacements end: along it, events were told ever later.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from milepost.tracking.events import Event, Precision
from milepost.tracking.vocabulary import EventType

WINDOW = timedelta(hours=24)

_Mark = Callable[[Event], str]
_Fits = Callable[[Event, Event], bool]


@dataclass(slots=True)
class _Group:
    """Vanished events, and the new ones of the first answer that could be in their place."""

    old: dict[str, Event] = field(default_factory=dict)
    new: dict[str, Event] = field(default_factory=dict)


def replacements(events: Iterable[Event]) -> dict[str, str]:
    """For each event that was corrected: its key, and the key of the one in its place."""
    scans = [event for event in events if event.event_type is EventType.CARRIER]
    newest = max(
        (sighting.first_seen for scan in scans for sighting in scan.sightings), default=None
    )
    gone = [scan for scan in scans if newest is not None and scan.last_seen < newest]
    if not gone:
        return {}
    pairs = _pairs_of_a_class(gone, scans)
    return _pairs_of_a_minute(gone, scans, pairs) | pairs


def _pairs_of_a_class(gone: Sequence[Event], scans: Sequence[Event]) -> dict[str, str]:
    """Several of a class at once are paired in time order, if there are as many old as new."""
    pairs: dict[str, str] = {}
    for source, group in _groups(gone, scans, _class, _close):
        if len(group.old) != len(group.new):
            continue
        for before, after in zip(_in_time(group.old), _in_time(group.new), strict=True):
            if _told_after(before, after, source) and _close(before, after):
                pairs.setdefault(before.key, after.key)
    return pairs


def _pairs_of_a_minute(
    gone: Sequence[Event], scans: Sequence[Event], pairs: Mapping[str, str]
) -> dict[str, str]:
    """One for one only, and only an event that isn't in the place of another already."""
    left = [event for event in gone if event.key not in pairs]
    used = set(pairs.values())
    more: dict[str, str] = {}
    for _, group in _groups(left, scans, _minute, _recoded):
        if len(group.old) == len(group.new) == 1 and not used.intersection(group.new):
            (old,), (new,) = group.old, group.new
            more.setdefault(old, new)
    return more


def _groups(
    gone: Sequence[Event], scans: Sequence[Event], mark: _Mark, fits: _Fits
) -> list[tuple[str, _Group]]:
    """By source, carrier, mark and answer; in an order that depends on nothing else."""
    index: dict[tuple[str, str], list[Event]] = defaultdict(list)
    for scan in scans:
        index[scan.carrier_code, mark(scan)].append(scan)
    groups: dict[tuple[str, str, str, datetime], _Group] = defaultdict(_Group)
    for event in gone:
        others = [scan for scan in index[event.carrier_code, mark(event)] if fits(event, scan)]
        for source in [sighting.source for sighting in event.sightings]:
            told = [(at, scan) for scan in others if (at := _told_after(event, scan, source))]
            if not told:
                continue
            first = min(at for at, _ in told)
            group = groups[source, event.carrier_code, mark(event), first]
            group.old[event.key] = event
            group.new |= {scan.key: scan for at, scan in told if at == first}
    return [(key[0], group) for key, group in sorted(groups.items(), key=lambda item: item[0])]


def _told_after(old: Event, new: Event, source: str) -> datetime | None:
    """When ``source`` first told ``new``, if that was in place of ``old`` and not beside it."""
    for sighting in new.sightings:
        if sighting.source == source and sighting.complete and sighting.first_seen > old.last_seen:
            return sighting.first_seen
    return None


def _class(event: Event) -> str:
    return event.scan_class


def _minute(event: Event) -> str:
    return event.wording.moment.home_minute


def _close(one: Event, other: Event) -> bool:
    apart = one.wording.moment.instant - other.wording.moment.instant
    return one.key != other.key and abs(apart) <= WINDOW


def _recoded(one: Event, other: Event) -> bool:
    """A day is no minute: two classes on one day are two scans."""
    return (
        one.scan_class != other.scan_class
        and one.wording.moment.precision is Precision.INSTANT
        and other.wording.moment.precision is Precision.INSTANT
    )


def _in_time(events: Mapping[str, Event]) -> list[Event]:
    return sorted(events.values(), key=lambda event: (event.wording.moment.instant, event.key))
