"""What the event feed tells: the body that subscribers are sent, with its place in the feed."""

from datetime import datetime
from enum import StrEnum

from milepost.wire.moments import v3_moment
from milepost.wire.python_json import dumped
from milepost.wire.v3_event import CREATED


class FeedType(StrEnum):
    """What happened. ``ERASED``: a parcel was erased (``sequence`` 0), or there was an event of one
    that is erased by now."""

    CREATED = CREATED
    WITHDRAWN = "parcels.event.withdrawn"
    ERASED = "parcels.parcel.erased"


def feed_event(
    cursor: str,
    event_id: str,
    feed_type: FeedType,
    sequence: int,
    recorded_at: datetime,
    data: bytes,
) -> bytes:
    """One item of the feed as JSON on one line. ``data`` is JSON as it stands."""
    head = {
        "cursor": cursor,
        "id": event_id,
        "type": feed_type,
        "sequence": sequence,
        "recorded_at": v3_moment(recorded_at),
    }
    return b'%b, "data": %b}' % (dumped(head)[:-1], data)


def erased_data(parcel_id: int) -> bytes:
    """``data`` of an event whose parcel was erased: nothing but the parcel's id."""
    return dumped({"parcel": {"parcel_id": parcel_id}})


def server_sent(cursor: str, feed_type: FeedType, item: bytes) -> bytes:
    """An item as Server-Sent Events say it; a client that comes back names the id it saw last."""
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (cursor.encode(), feed_type.encode(), item)
