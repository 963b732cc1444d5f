"""A tracker of karrio's API, by its public source: ``events`` newest first.

``date`` and ``time`` are the carrier's local ones (24 hours, or 12 with AM or PM); newer versions
have ``timestamp`` beside them. ``info`` and ``metadata`` are what the merchant added.
"""

import re

from milepost.movein.answers import Object, first_text, held, object_of, objects_of
from milepost.movein.foreign import ForeignAddress, ForeignParcel, ForeignScan

_NO_PLACE = ("metadata", "options", "delivery_image_url", "signature_image_url")
_OF_INFO = ("note", "package_weight", "shipment_service", "carrier_tracking_link")
_TWELVE = re.compile(r"(\d{1,2}):(\d\d)(?::\d\d)? ?([AP]M)", re.IGNORECASE)


def read(row: Object) -> ForeignParcel:
    """The parcel of a tracker, or of a webhook about one."""
    data = object_of(row.get("data"))
    tracker = data if data.get("tracking_number") else row
    info = object_of(tracker.get("info"))
    return ForeignParcel(
        number=first_text(tracker, "tracking_number"),
        carrier=first_text(tracker, "carrier_name"),
        scans=tuple(_scan(one) for one in objects_of(tracker.get("events"))),
        newest_first=True,
        status=ForeignScan(first_text(tracker, "updated_at"), (_status(tracker),)),
        announced=first_text(info, "shipping_date", "order_date")
        or first_text(tracker, "created_at"),
        ours=first_text(tracker, "id"),
        order_number=first_text(info, "order_id"),
        recipient=ForeignAddress(
            name=first_text(info, "customer_name"),
            postal_code=first_text(info, "shipment_destination_postal_code"),
            country=first_text(info, "shipment_destination_country"),
        ),
        sender=ForeignAddress(
            postal_code=first_text(info, "shipment_origin_postal_code"),
            country=first_text(info, "shipment_origin_country"),
        ),
        expected_day=first_text(tracker, "estimated_delivery")
        or first_text(info, "expected_delivery"),
        signed_by=first_text(info, "signed_by"),
        left_out=(*held(tracker, _NO_PLACE), *held(info, _OF_INFO)),
    )


def _status(tracker: Object) -> str:
    status = first_text(tracker, "status")
    return "delivered" if tracker.get("delivered") is True else status


def _scan(event: Object) -> ForeignScan:
    code = first_text(event, "code")
    return ForeignScan(
        stated=_stated(event),
        # Before events had a status of their own, karrio put its word for it into their code.
        statuses=(first_text(event, "status"), code.lower()),
        text=first_text(event, "description"),
        raw_code=code,
        city=first_text(event, "location"),
        fields={"reason": first_text(event, "reason")},
    )


def _stated(event: Object) -> str:
    if told := first_text(event, "timestamp"):
        return told
    day, time = first_text(event, "date"), first_text(event, "time")
    if match := _TWELVE.fullmatch(time):
        hour = int(match[1]) % 12 + (12 if match[3].upper() == "PM" else 0)
        time = f"{hour:02d}:{match[2]}"
    return f"{day} {time}".strip() if len(day) <= len("2026-01-01") else day
