"""What other rules of reading make of a stored parcel. Pure.

Identity, times and words of its events stay; readings change, and with them the status, the
milestones and what time alone says of the parcel.
"""

import dataclasses
from datetime import datetime

from milepost.parcels.apply import Applied, News, Rules, apply
from milepost.parcels.stored import StoredParcel
from milepost.tracking.events import Observation
from milepost.tracking.explain import deciding
from milepost.tracking.legs import read_journey
from milepost.tracking.rereading import Read, reread
from milepost.tracking.timeline import changes

SOURCE = "mapping"


def remapped(
    stored: StoredParcel, read: Read, now: datetime, rules: Rules, *, tell: bool
) -> Applied | None:
    """The parcel as it is by ``read``; None where that reads nothing otherwise.

    With ``tell`` the event that gives it its new status is to be told once more.
    """
    events = reread(stored.events, read)
    if events is stored.events:
        return None
    anew = dataclasses.replace(stored, events=events)
    nothing = Observation(stored.carrier_code, SOURCE, now, ())
    after = apply(anew, nothing, News(), now, rules)
    told = (*after.told, *_news(stored, after, rules)) if tell else after.told
    return dataclasses.replace(
        after,
        parcel=dataclasses.replace(after.parcel, updated_at=now),
        changes=changes(stored.events, after.parcel.events),
        told=tuple(dict.fromkeys(told)),
    )


def _news(stored: StoredParcel, after: Applied, rules: Rules) -> list[tuple[int, str]]:
    """The event that decides the status now, where that is another; a new one is told anyway."""
    before, now = (
        read_journey(parcel.events, parcel.announced_at, rules.early)
        for parcel in (stored, after.parcel)
    )
    last = deciding(now)
    new = {event.sequence for event in after.changes.new}
    if last is None or before.reading == now.reading or last.event.sequence in new:
        return []
    return [(last.event.sequence, "event")]
