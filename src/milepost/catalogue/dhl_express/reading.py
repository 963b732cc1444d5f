"""What an answer of the MyDHL API says."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    of_shipment,
)
from milepost.carriers.localities import town_and_country
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Precision, Scan
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

_TOWN = re.compile(r"(?P<town>.+?)\s*-\s*(?P<country>[A-Z]{2})", re.ASCII)
_OFFSET = re.compile(r"[+-]\d\d:?\d\d|Z", re.ASCII)
_EXPECTED = ("estimatedDeliveryDate", "estimatedTimeOfDelivery")


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What DHL Express knows about ``item``, one of the numbers asked about."""
    if document.child("shipments").value is None:
        raise CarrierParseError("the answer tells nothing of shipments")
    shipments = list(document.items("shipments"))
    if not shipments:
        return NotFound()
    shipment, piece = _meant(shipments, item)
    events = _events(piece) or _events(shipment)
    if not events:
        # A number that is unknown has an entry without any, too.
        return NotFound()
    return Found(
        scans=tuple(_scans(manifest, events)),
        complete=True,
        estimate=_estimate(manifest, shipment),
        signed_by=_signed_by(manifest, events),
        service=_service(shipment),
        related_numbers=of_shipment(
            shipment.text("shipmentTrackingNumber"),
            (one.text("trackingNumber") for one in shipment.items("pieces")),
            item.number,
        ),
        raw=shipment.as_json(),
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """DHL's own 404 is a problem document that repeats the status."""
    if document.text("status") != "404":
        raise CarrierParseError("a 404 that is not DHL's own")
    return NotFound()


def _meant(shipments: Sequence[Tree], item: Item) -> tuple[Tree, Tree]:
    """The shipment that is meant, and its piece where one was asked about."""
    wanted = number_key(item.number)
    for shipment in shipments:
        if number_key(shipment.text("shipmentTrackingNumber")) == wanted:
            return shipment, Tree(None, shipment.path)
        for piece in shipment.items("pieces"):
            if number_key(piece.text("trackingNumber")) == wanted:
                return shipment, piece
    raise CarrierParseError("no shipment has the number we asked for")


def _events(told: Tree) -> list[Tree]:
    return list(told.items("events", at_most=MOST_EVENTS))


def _scans(manifest: Manifest, events: Sequence[Tree]) -> Iterator[Scan]:
    """The checkpoints from the oldest to the newest."""

    def moment(event: Tree, previous: datetime | None) -> Moment:
        return _moment(manifest, event, previous)

    for position, (when, event) in enumerate(in_order(events, moment)):
        yield _scan(manifest, event, when, position)


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code = event.needed_text("typeCode")
    scan_class, reading = manifest.classify(code)
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=event.text("description"),
        moment=moment,
        reading=reading,
        place=_place(event),
        position=position,
        raw_fields={"clamped": "true"} if is_clamped(moment) else {},
        mapping_version=manifest.mapping_version,
    )


def _place(event: Tree) -> Place:
    """The service area: ``Bratislava-SK`` or ``Barcelona - Spain``."""
    area = next(event.items("serviceArea"), Tree(None, event.path))
    told = area.text("description")
    coded = _TOWN.fullmatch(told)
    town, country = (coded["town"], coded["country"]) if coded else town_and_country(told)
    return Place(city=town, country_code=country, depot=area.text("code"))


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """The local time of the service area as printed, with its offset where DHL gives one."""
    day, time = event.needed_text("date"), event.text("time")
    place = _place(event)
    zone = zone_of(place.country_code, "", manifest.home_zone, place.city)
    offset = event.text("GMTOffset")
    told = f"{day}T{time}" if time else day
    if time and _OFFSET.fullmatch(offset):
        told += offset
    moment = read_moment(told, zone, manifest.home_zone, previous)
    return replace(moment, stated=f"{day} {time}".strip())


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The expected day, with a time by which where DHL gives one; local time of the receiver."""
    told = next(filter(None, map(shipment.text, _EXPECTED)), "")
    if not told:
        return None
    country = shipment.text("receiverDetails", "postalAddress", "countryCode")
    postal_code = shipment.text("receiverDetails", "postalAddress", "postalCode")
    zone = zone_of(country, postal_code, manifest.home_zone)
    moment = read_moment(told, zone, manifest.home_zone)
    return DeliveryEstimate(
        day=datetime.fromisoformat(told[:10]).date(),
        latest=moment.instant if moment.precision is Precision.INSTANT else None,
    )


def _signed_by(manifest: Manifest, events: Sequence[Tree]) -> str:
    """Who signed for a delivery; other checkpoints have numbers and times in that field."""
    for event in events:
        _, reading = manifest.classify(event.text("typeCode"))
        if reading.phase is Phase.DELIVERED and event.text("signedBy"):
            return event.text("signedBy")
    return ""


def _service(shipment: Tree) -> str:
    """The product's code; what is called a description is often the content's."""
    return shipment.text("productCode")
