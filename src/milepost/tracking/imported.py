"""History that another tool told us of a parcel, and when the carrier's own takes its place. Pure.

A tool that tracked a parcel before us tells its scans in words and codes of its own, by clocks of
its own. No rule can tell for sure which of them is which scan of the carrier, so they are kept
apart by the tool's code (their source is ``import``), and the carrier has the last word:

- they stand until the carrier itself has told us its history (a complete answer, from any source);
- then those are covered that fall between the first and the last scan it told, and those beyond
  with a scan of the same phase within a day. What it no longer tells (old scans) and what it does
  not know (the next carrier's delivery) stays;
- a single scan that the carrier told covers the imported one of the same phase and minute;
- a tool's word on the whole parcel is no scan, its time may be when the tool looked. Any history of
  the carrier covers it, unless it ends the journey (a person marked the parcel as delivered).

A covered event is kept behind the carrier's nearest scan (``Event.replaced``) and comes back if it
must; it lends that scan its id where the two can only be one scan. It is a function of the set of
events, so no order of arrival matters.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from milepost.tracking.events import Event
from milepost.tracking.status import is_end, status_of
from milepost.tracking.vocabulary import EventType, Phase

SOURCE = "import"
OF_THE_CARRIER = frozenset({"poll", "push", "file"})
"""Sources by which a carrier itself speaks; ``own`` is the merchant."""
NEAR = timedelta(hours=24)
ONE_SCAN = timedelta(hours=2)
"""A summer clock of central Europe that is taken for UTC is off by so much."""
_SUMMARY = "="
_UNDER_WAY = frozenset({Phase.DROPPED, Phase.ACCEPTED, Phase.SORTED, Phase.IN_TRANSIT})
"""What tools tell apart otherwise than we do, and nobody waits for."""


def is_imported(event: Event) -> bool:
    """Whether nobody but another tool ever told it."""
    return all(sighting.source == SOURCE for sighting in event.sightings)


def summary_class(tool_code: str, status: str) -> str:
    """The scan class of a tool's word on a whole parcel."""
    return f"{SOURCE} {tool_code} {_SUMMARY} {status}"


def covered(events: Iterable[Event]) -> dict[str, str]:
    """For each imported event the carrier's telling covers: its key, and that of the scan it is
    kept behind."""
    scans = [event for event in events if event.event_type is EventType.CARRIER]
    imported = [scan for scan in scans if is_imported(scan)]
    if not imported:
        return {}
    told = [scan for scan in scans if _told_by_carrier(scan, complete=False)]
    whole = [scan for scan in told if _told_by_carrier(scan, complete=True)]
    found = {}
    for old in imported:
        if candidates := _covering(old, whole) or _twins(old, told):
            nearest = min(candidates, key=lambda scan, old=old: (_apart(old, scan), scan.key))  # type: ignore[misc]
            found[old.key] = nearest.key
    return found


def lends_its_id(old: Event, scan: Event) -> bool:
    """Whether ``scan`` is surely what ``old`` told, so that it goes on under its id."""
    if not is_imported(old):
        return True
    if _same_phase(old, scan):
        return _minute(old) == _minute(scan) or _apart(old, scan) <= ONE_SCAN
    # Whoever was told of carriage knows of that minute, and nothing of a delivery in it.
    return _minute(old) == _minute(scan) and scan.wording.reading.phase in _UNDER_WAY


def _covering(old: Event, whole: Sequence[Event]) -> Sequence[Event]:
    if not whole or _is_mere_summary(old):
        return whole
    alike = [scan for scan in whole if _same_phase(old, scan) and _apart(old, scan) <= NEAR]
    if alike:
        return alike
    instants = [_instant(scan) for scan in whole]
    return whole if min(instants) <= _instant(old) <= max(instants) else ()


def _is_mere_summary(old: Event) -> bool:
    reading = old.wording.reading
    is_summary = old.scan_class.split(" ")[2:3] == [_SUMMARY]
    return is_summary and not is_end(status_of(reading), reading)


def _twins(old: Event, told: Sequence[Event]) -> Sequence[Event]:
    return [scan for scan in told if _same_phase(old, scan) and _minute(old) == _minute(scan)]


def _told_by_carrier(event: Event, *, complete: bool) -> bool:
    return any(
        sighting.source in OF_THE_CARRIER and (sighting.complete or not complete)
        for sighting in event.sightings
    )


def _same_phase(one: Event, other: Event) -> bool:
    return one.wording.reading.phase is other.wording.reading.phase


def _apart(one: Event, other: Event) -> timedelta:
    return abs(_instant(one) - _instant(other))


def _instant(event: Event) -> datetime:
    return event.wording.moment.instant


def _minute(event: Event) -> str:
    return event.wording.moment.home_minute
