"""An accepted number of 17TRACK's API, versions 2.2 and later, by its documentation.

``track_info.tracking.providers`` are the carriers it asked, each with ``events`` newest first;
``time_iso`` has an offset where the carrier's zone is known, ``time_raw`` is what was printed.
"""

from milepost.movein.answers import Object, first_text, held, object_of, objects_of, text_of
from milepost.movein.foreign import ForeignAddress, ForeignParcel, ForeignScan

_NO_PLACE = ("remark", "lang", "param")


def read(row: Object) -> ForeignParcel:
    """The parcel of an accepted number, or of a webhook."""
    item = object_of(row.get("data")) or row
    info = object_of(item.get("track_info"))
    ends = object_of(info.get("shipping_info"))
    providers = list(objects_of(object_of(info.get("tracking")).get("providers")))
    named = object_of(providers[0].get("provider")) if providers else {}
    return ForeignParcel(
        number=first_text(item, "number"),
        carrier=_key(item.get("carrier")) or _key(named.get("key")),
        carrier_name=first_text(named, "name"),
        scans=tuple(scan for one in providers for scan in _scans(one)),
        newest_first=True,
        status=_status(item, info),
        announced=first_text(item, "register_time"),
        order_number=first_text(item, "order_no"),
        title=first_text(item, "tag"),
        recipient=_end(ends, "recipient_address", first_text(item, "email")),
        sender=_end(ends, "shipper_address", ""),
        expected_day=_expected(info),
        left_out=held(item, _NO_PLACE),
    )


def _scans(provider: Object) -> list[ForeignScan]:
    whose = first_text(object_of(provider.get("provider")), "key", "name")
    return [_scan(event, whose) for event in objects_of(provider.get("events"))]


def _scan(event: Object, whose: str) -> ForeignScan:
    place = object_of(event.get("address"))
    return ForeignScan(
        stated=_stated(event),
        statuses=(first_text(event, "sub_status"), first_text(event, "stage")),
        text=first_text(event, "description"),
        city=first_text(place, "city") or first_text(event, "location"),
        country=first_text(place, "country"),
        postal_code=first_text(place, "postal_code"),
        fields={"provider": whose},
    )


def _stated(event: Object) -> str:
    if told := first_text(event, "time_iso", "time_utc"):
        return told
    raw = object_of(event.get("time_raw"))
    return f"{first_text(raw, 'date')} {first_text(raw, 'time')}".strip()


def _status(item: Object, info: Object) -> ForeignScan:
    latest, status = object_of(info.get("latest_event")), object_of(info.get("latest_status"))
    main = first_text(status, "status") or first_text(item, "package_status")
    return ForeignScan(
        stated=_stated(latest) or first_text(item, "track_time"),
        statuses=(first_text(status, "sub_status"), main),
        text=first_text(latest, "description"),
    )


def _end(ends: Object, name: str, email: str) -> ForeignAddress:
    place = object_of(ends.get(name))
    return ForeignAddress(
        street=first_text(place, "street"),
        city=first_text(place, "city"),
        state=first_text(place, "state"),
        postal_code=first_text(place, "postal_code"),
        country=first_text(place, "country"),
        email=email,
    )


def _expected(info: Object) -> str:
    metrics = object_of(object_of(info.get("time_metrics")).get("estimated_delivery_date"))
    return first_text(metrics, "to", "from")


def _key(value: object) -> str:
    """A carrier's key; 0 is none."""
    told = text_of(value)
    return "" if told == "0" else told
