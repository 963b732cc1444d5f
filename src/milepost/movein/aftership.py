"""A tracking of AfterShip's API, in the forms of version 4 and of those that are named by a month.

By its documentation (Tracking, Checkpoint): ``checkpoints`` oldest first, times with an offset
where the carrier tells one. ``raw_tag`` is the carrier's own status; ``emails`` and ``smses``
became ``customers`` in later versions.
"""

from collections.abc import Iterator
from typing import Any

from milepost.movein.answers import (
    Object,
    first_text,
    held,
    object_of,
    objects_of,
    text_of,
    texts_of,
)
from milepost.movein.foreign import ForeignAddress, ForeignParcel, ForeignScan

_NO_PLACE = ("note", "custom_fields", "order_id_path", "order_tags", "language", "shipment_tags")


def read(row: Object) -> ForeignParcel:
    """The parcel of a tracking, of the answer that holds one, or of a webhook."""
    inner = object_of(object_of(row.get("data")).get("tracking")) or object_of(row.get("tracking"))
    tracking = inner or object_of(row.get("msg")) or row
    return ForeignParcel(
        number=first_text(tracking, "tracking_number"),
        carrier=first_text(tracking, "slug"),
        scans=tuple(_scan(one) for one in objects_of(tracking.get("checkpoints"))),
        status=_status(tracking),
        announced=first_text(
            tracking, "shipment_pickup_date", "pickup_date", "order_date", "created_at"
        ),
        ours=first_text(tracking, "id"),
        order_number=first_text(tracking, "order_number"),
        order_id=first_text(tracking, "order_id"),
        title=first_text(tracking, "title"),
        recipient=_recipient(tracking),
        sender=_end(tracking, "origin"),
        expected_day=_expected(tracking),
        signed_by=first_text(tracking, "signed_by"),
        left_out=(*held(tracking, _NO_PLACE), *_further(tracking)),
    )


def _scan(point: Object) -> ForeignScan:
    return ForeignScan(
        stated=first_text(point, "checkpoint_time"),
        statuses=(first_text(point, "subtag"), first_text(point, "tag")),
        text=first_text(point, "message", "subtag_message"),
        raw_code=first_text(point, "raw_tag"),
        city=first_text(point, "city", "location"),
        country=first_text(point, "country_region", "country_iso3", "country_name"),
        postal_code=first_text(point, "postal_code", "zip"),
        fields={"slug": first_text(point, "slug")},
    )


def _status(tracking: Object) -> ForeignScan:
    at = first_text(tracking, "shipment_delivery_date", "delivery_date", "last_updated_at")
    return ForeignScan(
        stated=at or first_text(tracking, "updated_at"),
        statuses=(first_text(tracking, "subtag"), first_text(tracking, "tag")),
    )


def _recipient(tracking: Object) -> ForeignAddress:
    customer = next(_customers(tracking), object_of(None))
    end = _end(tracking, "destination")
    return ForeignAddress(
        name=first_text(tracking, "customer_name") or text_of(customer.get("name")),
        city=end.city,
        state=end.state,
        postal_code=end.postal_code or first_text(tracking, "tracking_postal_code"),
        country=end.country or first_text(tracking, "tracking_destination_country"),
        phone=_first(tracking.get("smses")) or text_of(customer.get("phone_number")),
        email=_first(tracking.get("emails")) or text_of(customer.get("email")),
    )


def _end(tracking: Object, end: str) -> ForeignAddress:
    return ForeignAddress(
        city=first_text(tracking, f"{end}_city"),
        state=first_text(tracking, f"{end}_state"),
        postal_code=first_text(tracking, f"{end}_postal_code"),
        country=first_text(tracking, f"{end}_country_region", f"{end}_country_iso3"),
    )


def _expected(tracking: Object) -> str:
    estimate = object_of(tracking.get("courier_estimated_delivery_date"))
    return first_text(tracking, "expected_delivery") or first_text(
        estimate, "estimated_delivery_date"
    )


def _further(tracking: Object) -> tuple[str, ...]:
    """Who else was told: a parcel here has one recipient."""
    lists = {name: texts_of(tracking.get(name)) for name in ("emails", "smses")}
    further = [f"further {name}" for name, texts in lists.items() if len(texts) > 1]
    if len(list(_customers(tracking))) > 1:
        further.append("further customers")
    return tuple(further)


def _customers(tracking: Object) -> Iterator[Object]:
    return objects_of(tracking.get("customers"))


def _first(value: Any) -> str:
    return next(iter(texts_of(value)), "")
