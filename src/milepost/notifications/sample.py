"""A parcel that does not exist, for tests of connections: that of the published example.

What is sent of it has the documented form and values; only headers say that it is a test, so a
receiver is tried with what it will get.
"""

from dataclasses import replace
from datetime import UTC, datetime

from milepost.notifications.audience import Subject
from milepost.tracking.events import Event, Moment, Place, Sighting, Wording, ZoneSource
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.parcel import Monitoring, MonitoringState, TrackedParcel
from milepost.tracking.status import status_of
from milepost.tracking.vocabulary import EventType, Phase, Reading

_CARRIER = "dpd"
_ANNOUNCED_AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
_SCANNED_AT = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
PARCEL_ID = 12345678
"""That of the published example."""
NO_PARCEL_ID = 0
"""For an account that really has a parcel of that id: ids begin with 1."""
_PARCEL = TrackedParcel(
    parcel_id=PARCEL_ID,
    carrier_code=_CARRIER,
    tracking_number="3SYZXG132912330",
    source_id="",
    announced_at=_ANNOUNCED_AT,
    created_at=_ANNOUNCED_AT,
    updated_at=_SCANNED_AT,
    document={},
    monitoring=Monitoring(MonitoringState.WATCHING, ""),
)
_READING = Reading(Phase.IN_TRANSIT)


def _scan() -> Entry:
    stated = _SCANNED_AT.isoformat()
    moment = Moment(stated, _SCANNED_AT, stated[:16], "UTC", ZoneSource.CARRIER)
    place = Place(city="Eindhoven", country_code="NL")
    wording = Wording("poll", _SCANNED_AT, "", "", {}, place, moment, _READING, "", 0, 1)
    sighting = Sighting("poll", _SCANNED_AT, _SCANNED_AT)
    event = Event("sample", _CARRIER, EventType.CARRIER, "", wording, (sighting,), (), 1)
    return Entry(event, _SCANNED_AT, 1, Verdict.MOVED, _READING, status_of(_READING))


ENTRY = _scan()
_JOURNEY = Journey(
    (ENTRY,),
    (),
    _READING,
    ENTRY.status,
    _SCANNED_AT,
    _SCANNED_AT,
    _SCANNED_AT,
    None,
    is_return=False,
)


def subject(*, is_taken: bool) -> Subject:
    """The example; ``is_taken``: its id is that of a parcel which its receiver may know."""
    parcel_id = NO_PARCEL_ID if is_taken else PARCEL_ID
    return Subject(replace(_PARCEL, parcel_id=parcel_id), _JOURNEY, None)
