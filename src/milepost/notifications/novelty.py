"""What of a journey is news: what gives another status, and what was told before. Pure."""

from collections.abc import Sequence

from milepost.tracking.journey import Entry, Journey
from milepost.tracking.vocabulary import Phase

UNDER_WAY = frozenset({Phase.DROPPED, Phase.ACCEPTED, Phase.SORTED, Phase.IN_TRANSIT})
"""Phases that change to and fro from hub to hub: a recipient is told of each once."""


def status_changes(journey: Journey) -> frozenset[int]:
    """The events that gave the parcel another status than it had before."""
    found = set()
    before = None
    for entry in journey.entries:
        if entry.moves and entry.status != before:
            found.add(entry.event.sequence)
            before = entry.status
    return frozenset(found)


def is_repetition(journey: Journey, entry: Entry, news: Sequence[Entry]) -> bool:
    """Whether a recipient was told as much before: from hub to hub a parcel is on its way once."""
    before = [
        one
        for one in journey.entries
        if one.moves and one.leg == entry.leg and one not in news and one is not entry
    ]
    said = [(one.shown.phase, one.shown.exception) for one in before]
    if entry.shown.phase in UNDER_WAY:
        return (entry.shown.phase, entry.shown.exception) in said
    return said[-1:] == [(entry.shown.phase, entry.shown.exception)]
