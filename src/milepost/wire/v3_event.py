"""The body of ``parcels.event.created``: what subscribers of the Event Subscriptions API are sent.

Keys, order, nulls and types are those of the published payload and its two examples, nothing is
added. What we say beside it (the event's id, its number) is in headers.
"""

from collections.abc import Iterator
from typing import Any

from milepost.tracking.descriptions import describe
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.parcel import TrackedParcel
from milepost.tracking.status import is_end
from milepost.tracking.vocabulary import EventType, Phase
from milepost.wire.moments import v3_moment
from milepost.wire.python_json import dumped
from milepost.wire.v3 import location

CREATED = "parcels.event.created"
"""The only event type of the published API."""

_BEFORE_DATA = dumped({"event_type": CREATED, "data": 0})[:-2]
_OFFERED = frozenset({Phase.ATTEMPTED, Phase.PUP, Phase.DELIVERED, Phase.DELIVERY_FORCED})


def event_created(parcel: TrackedParcel, journey: Journey, entry: Entry) -> bytes:
    """The body that tells of one ``entry`` of ``journey``."""
    return dumped({"event_type": CREATED, "data": event_data(parcel, journey, entry)})


def data_of(body: bytes) -> bytes:
    """What stands below ``data`` in a body of ``event_created``, as it stands there."""
    return body[len(_BEFORE_DATA) : -1]


def event_data(parcel: TrackedParcel, journey: Journey, entry: Entry) -> dict[str, Any]:
    """The part below ``data``.

    Phase, exception, status_type and sub_status are those in force after the event, as in every
    look-up: a subscriber who keeps the last of them has what a look-up says. ``description`` is our
    English sentence for them, never the carrier's own text: clients classify events by words in it.
    """
    shown = entry.shown
    return {
        "parcel": {
            "parcel_id": parcel.parcel_id,
            "tracking_number": parcel.tracking_number,
            "carrier_code": parcel.carrier_code,
            "announced_at": v3_moment(parcel.announced_at),
        },
        "event": {
            "event_type": entry.event.event_type,
            "timestamp": v3_moment(entry.effective_at),
            "phase": shown.phase,
            "exception": shown.exception,
            "status_type": shown.status_type,
            "sub_status": shown.sub_status,
            "description": describe(shown),
            "end_of_tracking": ends_tracking(entry),
            "is_offered": was_offered(journey, entry),
            # Liability is nothing that carriers tell with a scan, and the published examples have
            # null even for plain carrier events: we know it of none.
            "is_carrier_responsible": None,
            "is_returned": goes_back(parcel, journey, entry),
            "location_details": location(entry.event.wording.place),
            "extra_data": extra_data(parcel, entry),
        },
    }


def ends_tracking(entry: Entry) -> bool:
    """``end_of_tracking``, "no further tracking updates": the status after the event is final.

    A parcel that moves all the same (a wrong delivery, a new leg) has it false again.
    """
    return is_end(entry.status, entry.shown)


def was_offered(journey: Journey, entry: Entry) -> bool:
    """``is_offered``, "the parcel was offered for delivery": by this event or before, on this leg.

    An attempt offers it, so does its waiting at a pick-up point, and what was delivered was
    offered; being out for delivery does not. It is said of the parcel, so it stays true when the
    parcel goes back to the depot; the way back to the sender is another leg, which offers anew.
    """
    return any(one.shown.phase in _OFFERED for one in _leg_so_far(journey, entry))


def goes_back(parcel: TrackedParcel, journey: Journey, entry: Entry) -> bool:
    """``is_returned``, "belongs to a return shipment": registered as one, or on a return leg."""
    if (parcel.document.get("details") or {}).get("is_return"):
        return True
    return any(one.verdict is Verdict.OPENED_RETURN_LEG for one in _leg_so_far(journey, entry))


def extra_data(parcel: TrackedParcel, entry: Entry) -> dict[str, str] | None:
    """``extra_data``, "additional carrier-specific data": what no other key has a place for.

    ``event_code`` and ``event_text`` are the carrier's own, as it told the event; ``pickup_until``
    is until when a parcel at a pick-up point waits there. Null where nothing of it is known.
    """
    said = {}
    if entry.event.event_type is EventType.CARRIER:
        wording = entry.event.wording
        said = {"event_code": wording.raw_code, "event_text": wording.raw_text}
    if entry.shown.phase is Phase.PUP:
        said["pickup_until"] = parcel.extra.get("held_until", "")
    return {name: text for name, text in said.items() if text} or None


def _leg_so_far(journey: Journey, entry: Entry) -> Iterator[Entry]:
    """The entries of the leg of ``entry`` up to it."""
    for one in journey.entries:
        if one.leg == entry.leg:
            yield one
        if one is entry:
            return
