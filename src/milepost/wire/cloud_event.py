"""The same events as CloudEvents 1.0, in the structured JSON form (``CONTENT_TYPE``).

``data`` is that of the v3 event body: only the envelope is another.
"""

from milepost.tracking.journey import Entry, Journey
from milepost.tracking.parcel import TrackedParcel, told_event_id
from milepost.wire.moments import v3_moment
from milepost.wire.own_schemas import path_of
from milepost.wire.python_json import dumped
from milepost.wire.v3_event import CREATED, event_data

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
TYPE = f"milepost.{CREATED}"
SCHEMA = "parcel_event"
"""The name of the published schema of ``data``."""


def cloud_event(
    parcel: TrackedParcel, journey: Journey, entry: Entry, public_url: str = ""
) -> bytes:
    """The whole message that tells of one ``entry`` of ``journey``.

    ``public_url`` is where clients reach this installation, empty where nobody said so. ``id`` is
    unique within ``source``, as the specification asks: a receiver of several installations tells
    them apart by ``public_url`` only.
    """
    home = public_url.rstrip("/")
    document = {
        "specversion": "1.0",
        "id": told_event_id(parcel.parcel_id, entry.event.sequence),
        "source": f"{home}/api/milepost/v1/events",
        "type": TYPE,
        "subject": f"parcels/{parcel.parcel_id}",
        "time": v3_moment(entry.effective_at),
        "datacontenttype": "application/json",
    }
    if home:
        # A URI, not a reference: without an address of our own there is none to give.
        document["dataschema"] = home + path_of(SCHEMA)
    return dumped({**document, "data": event_data(parcel, journey, entry)})
