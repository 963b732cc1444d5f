"""PostNord's Track and Trace: what to ask, and what an answer says."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Connector,
    Credential,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    of_shipment,
)
from milepost.carriers.exchange import Request
from milepost.carriers.localities import country_code
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Precision, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Reading

UNKNOWN_NUMBER = "invalidIdentifier"
_DELIVERED = "DELIVERED"
_SERVICE_POINT = "SERVICE_POINT"


def build(manifest: Manifest) -> Connector:
    """PostNord's connector."""
    about = partial(read, manifest)
    return RestJson(
        request=partial(request, manifest),
        read=about,
        not_found=not_found,
        reread=partial(reread, manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One item or shipment with all its events, told in English, the only language we read."""
    return Request(
        manifest.api.base_url if manifest.api else "",
        query=(
            ("id", number_key(item.number)),
            ("locale", "en"),
            ("apikey", credential.fields.get("api_key", "")),
        ),
        headers={"Accept": "application/json"},
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """PostNord's own "no such identifier", should it come with a 404."""
    if UNKNOWN_NUMBER not in _faults(document.child("TrackingInformationResponse")):
        raise CarrierParseError("a 404 that is not PostNord's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What PostNord knows about ``item``; faults come with a 200, too."""
    answer = document.child("TrackingInformationResponse")
    if answer.value is None:
        raise CarrierParseError("the answer tells nothing at all")
    shipments, faults = list(answer.items("shipments")), _faults(answer)
    if not shipments:
        if faults - {UNKNOWN_NUMBER}:
            raise CarrierParseError(f"refused with {', '.join(sorted(faults))}")
        return NotFound()
    shipment, items = _meant(shipments, item)
    one = items[0] if len(items) == 1 else None
    scans = _scans(manifest, shipment, one) if one else _whole(manifest, shipment)
    alone = len(shipments) == 1 and len(list(shipment.items("items"))) == 1
    return Found(
        scans=tuple(scans),
        complete=one is not None and any(one.items("events")),
        estimate=_estimate(manifest, shipment, items),
        service=shipment.text("service", "name"),
        related_numbers=of_shipment(
            shipment.text("shipmentId"),
            (each.text("itemId") for each in shipment.items("items")),
            item.number,
        ),
        raw_type="application/json" if alone else "",
    )


def _faults(answer: Tree) -> set[str]:
    told = answer.items("compositeFault", "faults")
    return {fault.text("faultCode") or "no code" for fault in told}


def _meant(shipments: Sequence[Tree], item: Item) -> tuple[Tree, list[Tree]]:
    """The shipment that is meant, and its item; all of them where it is the shipment itself."""
    wanted = number_key(item.number)
    for shipment in shipments:
        items = list(shipment.items("items"))
        exact = [one for one in items if number_key(one.text("itemId")) == wanted]
        if exact:
            return shipment, exact[:1]
        if items and number_key(shipment.text("shipmentId")) == wanted:
            return shipment, items
    raise CarrierParseError("no item has the number we asked for")


def _scans(manifest: Manifest, shipment: Tree, item: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest; without any, what the item's own dates tell."""
    events = _events(item)
    for position, (when, event) in enumerate(in_order(events, partial(_moment, manifest))):
        yield _scan(manifest, event, when, position)
    delivered_at = item.text("deliveryDate")
    if not events and item.text("status") == _DELIVERED and delivered_at:
        yield _state(manifest, item, _read(manifest, delivered_at, *_target(shipment)))


def _whole(manifest: Manifest, shipment: Tree) -> Iterator[Scan]:
    """Of a shipment of several items its own status, at the time of their newest event.

    Their events are of several parcels, and one delivered item does not make it delivered.
    """
    events = [event for item in shipment.items("items") for event in _events(item)]
    if events and shipment.text("status"):
        newest = max(
            (_moment(manifest, event, None) for event in events), key=lambda at: at.instant
        )
        yield _state(manifest, shipment, newest)


def _events(item: Tree) -> list[Tree]:
    return list(item.items("events", at_most=MOST_EVENTS))


def _state(manifest: Manifest, told: Tree, moment: Moment) -> Scan:
    status = told.text("status")
    text = told.text("statusText", "header")
    _, reading = manifest.classify(status)
    return Scan(
        scan_class=status,
        raw_code=status,
        raw_text=text or status,
        moment=moment,
        reading=reading,
        raw_fields={"summary": "true"},
        mapping_version=manifest.mapping_version,
    )


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code, status = event.text("eventCode"), event.text("status")
    text = event.text("eventDescription")
    scan_class, reading = _reading(manifest, code, status, text)
    fields = {"status": status, "clamped": "true" if is_clamped(moment) else ""}
    return Scan(
        scan_class=scan_class,
        raw_code=code or status,
        raw_text=text,
        moment=moment,
        reading=reading,
        place=_place(event.child("location")),
        position=position,
        raw_fields={name: told for name, told in fields.items() if told},
        mapping_version=manifest.mapping_version,
    )


def _reading(manifest: Manifest, code: str, status: str, text: str) -> tuple[str, Reading]:
    """The event's code is the finest, then the text, as far as the status allows, then that."""
    known = manifest.by_code.get(f"ev:{code}")
    if known:
        return code, known.reading
    scan_class, reading = manifest.classify(status, text)
    return code or scan_class, reading


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules; some are the parcel's own status."""
    if "summary" in told.raw_fields:
        return manifest.classify(told.raw_code)[1]
    status = told.raw_fields.get("status", "")
    code = "" if told.raw_code == status else told.raw_code
    return _reading(manifest, code, status, told.raw_text)[1]


def _place(location: Tree) -> Place:
    is_service_point = location.text("locationType") == _SERVICE_POINT
    identity = location.text("locationId")
    return Place(
        city=location.text("city"),
        country_code=country_code(location.text("countryCode")),
        postal_code=location.text("postcode") or location.text("postCode"),
        depot=location.text("displayName") or location.text("name"),
        service_point_id=identity if is_service_point else "",
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    place = _place(event.child("location"))
    stated = event.needed_text("eventTime")
    return _read(manifest, stated, place.country_code, place.postal_code, previous)


def _read(
    manifest: Manifest,
    stated: str,
    country: str,
    postal_code: str,
    previous: datetime | None = None,
) -> Moment:
    zone = zone_of(country, postal_code, manifest.home_zone)
    return read_moment(stated, zone, manifest.home_zone, previous)


def _target(shipment: Tree) -> tuple[str, str]:
    """The receiver's country and postal code."""
    address = shipment.child("consignee", "address")
    return country_code(address.text("countryCode")), address.text("postCode")


def _estimate(manifest: Manifest, shipment: Tree, items: Sequence[Tree]) -> DeliveryEstimate | None:
    """The expected time, local to the receiver; of several items the last."""
    told = [one.text("estimatedTimeOfArrival") for one in (*items, shipment)]
    moments = [_read(manifest, stated, *_target(shipment)) for stated in told if stated]
    if not moments:
        return None
    last = max(moments, key=lambda moment: moment.instant)
    return DeliveryEstimate(
        day=datetime.fromisoformat(last.stated.strip()[:10]).date(),
        latest=last.instant if last.precision is Precision.INSTANT else None,
    )
