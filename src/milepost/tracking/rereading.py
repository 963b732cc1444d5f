"""Reading stored events once more, by rules that are others than when they were told. Pure.

Only readings change: what identifies an event, its times and its words stay. An event comes out as
if the new rules had been there when it was told, so that it makes no difference whether its carrier
tells it once more before or after it was read again.
"""

from collections.abc import Callable
from dataclasses import replace

from milepost.tracking.events import Event, Wording
from milepost.tracking.telling import in_rank
from milepost.tracking.vocabulary import EventType, Reading

Read = Callable[[str, Wording], tuple[Reading, int] | None]
"""What a carrier's telling means today, and by which version of the rules; None leaves it alone."""


def reread(events: tuple[Event, ...], read: Read) -> tuple[Event, ...]:
    """The events as ``read`` has them; the very same tuple where that changes no reading."""
    anew = tuple(_event(event, read) for event in events)
    unchanged = all(one is other for one, other in zip(events, anew, strict=True))
    return events if unchanged else anew


def _event(event: Event, read: Read) -> Event:
    replaced = reread(event.replaced, read)
    if event.event_type is not EventType.CARRIER:
        return event if replaced is event.replaced else replace(event, replaced=replaced)
    before = (event.wording, *event.revisions)
    anew = [_wording(event.carrier_code, wording, read) for wording in before]
    if replaced is event.replaced and all(map(_same, before, anew)):
        return event
    shown, revisions = in_rank(anew, event.wording.position)
    return replace(event, wording=shown, revisions=revisions, replaced=replaced)


def _same(one: Wording, other: Wording) -> bool:
    return one is other


def _wording(carrier_code: str, wording: Wording, read: Read) -> Wording:
    told = read(carrier_code, wording)
    # Under another version that says the same it stays as it was read: that is no difference.
    if told is None or told[0] == wording.reading:
        return wording
    return replace(wording, reading=told[0], mapping_version=told[1])
