"""A Tracker of EasyPost's API, by its documentation: ``tracking_details`` oldest first.

A ``datetime`` carries ``Z``; for carriers that tell local time it is that time all the same.
"""

from milepost.movein.answers import Object, first_text, held, object_of, objects_of
from milepost.movein.foreign import ForeignAddress, ForeignParcel, ForeignScan

_NO_PLACE = ("weight",)


def read(row: Object) -> ForeignParcel:
    """The parcel of a Tracker, or of an Event with one as its result."""
    tracker = object_of(row.get("result")) or object_of(row.get("tracker")) or row
    detail = object_of(tracker.get("carrier_detail"))
    return ForeignParcel(
        number=first_text(tracker, "tracking_code"),
        carrier=first_text(tracker, "carrier"),
        scans=tuple(_scan(one) for one in objects_of(tracker.get("tracking_details"))),
        status=ForeignScan(first_text(tracker, "updated_at"), _statuses(tracker)),
        announced=first_text(tracker, "created_at"),
        ours=first_text(tracker, "id"),
        order_number=first_text(tracker, "reference"),
        recipient=_end(detail, "destination"),
        sender=_end(detail, "origin"),
        expected_day=first_text(tracker, "est_delivery_date"),
        signed_by=first_text(tracker, "signed_by"),
        left_out=held(tracker, _NO_PLACE),
    )


def _scan(detail: Object) -> ForeignScan:
    place = object_of(detail.get("tracking_location"))
    return ForeignScan(
        stated=first_text(detail, "datetime"),
        statuses=_statuses(detail),
        text=first_text(detail, "message", "description"),
        raw_code=first_text(detail, "carrier_code"),
        city=first_text(place, "city"),
        country=first_text(place, "country"),
        postal_code=first_text(place, "zip"),
        fields={"source": first_text(detail, "source")},
    )


def _statuses(row: Object) -> tuple[str, ...]:
    status, detail = first_text(row, "status"), first_text(row, "status_detail")
    return (f"{status} {detail}", status) if detail else (status,)


def _end(detail: Object, end: str) -> ForeignAddress:
    place = object_of(detail.get(f"{end}_tracking_location"))
    return ForeignAddress(
        city=first_text(place, "city"),
        state=first_text(place, "state"),
        postal_code=first_text(place, "zip"),
        country=first_text(place, "country"),
    )
