"""PostNL's Shipping Status: what to ask, and what an answer says."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from urllib.parse import quote

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
    ServicePoint,
    of_shipment,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment, read_printed
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key

AT_A_POINT = "09"
"""The address of the shop or locker that hands the parcel out."""
UNKNOWN_NUMBER = "2"
"""The code of PostNL's warning that there is no such shipment."""
_TURNED = re.compile(r"(\d\d)([A-Z])", re.ASCII)
_PRINTED = "%d-%m-%Y %H:%M:%S"


def build(manifest: Manifest) -> Connector:
    """PostNL's connector."""
    return RestJson(
        request=partial(request, manifest), read=partial(read, manifest), not_found=not_found
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number with all its events, told in English."""
    base = manifest.api.base_url if manifest.api else ""
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}",
        query=(("detail", "true"), ("language", "EN")),
        headers={"apikey": credential.fields.get("api_key", ""), "Accept": "application/json"},
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """PostNL's own "no shipment", whichever status it comes with."""
    if not _is_unknown(document):
        raise CarrierParseError("a 404 that is not PostNL's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What PostNL knows about ``item``."""
    if _is_unknown(document):
        return NotFound()
    shipment = _shipment_of(document, item)
    events = _filled(shipment, "Event")
    scans = tuple(_scans(manifest, shipment, events))
    return Found(
        scans=scans,
        complete=bool(events),
        estimate=_estimate(manifest, shipment),
        service=_text(shipment, "ProductDescription"),
        related_numbers=of_shipment(
            shipment.text("MainBarcode"), [shipment.text("Barcode")], item.number
        ),
        service_point=_service_point(shipment),
    )


def _service_point(shipment: Tree) -> ServicePoint:
    for address in _filled(shipment, "Address"):
        if _text(address, "AddressType") == AT_A_POINT:
            place = Place(
                city=_text(address, "City"),
                country_code=_text(address, "CountryCode"),
                postal_code=_text(address, "Zipcode"),
                street=_text(address, "Street"),
                house_number=_text(address, "HouseNumber"),
            )
            return ServicePoint(_text(address, "CompanyName"), place)
    return ServicePoint()


def _is_unknown(document: Tree) -> bool:
    codes = {warning.text("Code") for warning in document.items("Warnings")}
    return UNKNOWN_NUMBER in codes and not any(_shipments(document))


def _shipments(document: Tree) -> Iterator[Tree]:
    for kind in ("CompleteStatus", "CurrentStatus"):
        yield from _filled(document.child(kind), "Shipment")


def _shipment_of(document: Tree, item: Item) -> Tree:
    wanted = number_key(item.number)
    for shipment in _shipments(document):
        if wanted in {number_key(shipment.text(name)) for name in ("Barcode", "MainBarcode")}:
            return shipment
    raise CarrierParseError("no shipment has the number we asked for")


def _scans(manifest: Manifest, shipment: Tree, events: list[Tree]) -> Iterator[Scan]:
    """The events from the oldest to the newest; the parcel's status where nothing else is told.

    Each event sets a status, so the two tell the same scans: the status counts only without events.
    """
    told = events or _filled(shipment, "Status")
    timed = in_order(told, partial(_moment, manifest), newest_first=True)
    for position, (moment, event) in enumerate(timed):
        yield _scan(manifest, event, moment, position)


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code = _code(event)
    scan_class, reading = manifest.classify(code)
    fields = {
        "route": _text(event, "RouteName"),
        "destination_depot": _text(event, "DestinationLocationCode"),
        "phase": _text(event, "PhaseDescription"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=_text(event, "Description") or _text(event, "StatusDescription"),
        moment=moment,
        reading=reading,
        place=Place(depot=_text(event, "LocationCode")),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _code(event: Tree) -> str:
    """The event's code in the published order (``B01``), or the parcel's status with an S."""
    status = _text(event, "StatusCode")
    if status:
        return f"S{status}"
    code = event.needed_text("Code")
    turned = _TURNED.fullmatch(code)
    return f"{turned[2]}{turned[1]}" if turned else code


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    stated = event.needed_text("TimeStamp")
    form = f"{_PRINTED}.%f" if "." in stated else _PRINTED
    home = manifest.home_zone
    return read_printed(stated, form, Zone(home, ZoneSource.ASSUMED), home, previous)


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The window PostNL expects to deliver in, else the day that was agreed."""
    home = manifest.home_zone
    zone = Zone(home, ZoneSource.ASSUMED)
    told = [_text(shipment, "Expectation", name) for name in ("ETAFrom", "ETATo")]
    earliest, latest = (read_moment(text, zone, home) if text else None for text in told)
    agreed = _text(shipment, "DeliveryDate")
    day = earliest or latest or (read_moment(agreed, zone, home) if agreed else None)
    if day is None:
        return None
    return DeliveryEstimate(
        day=datetime.fromisoformat(day.stated[:10]).date(),
        earliest=earliest.instant if earliest else None,
        latest=latest.instant if latest else None,
    )


def _filled(tree: Tree, name: str) -> list[Tree]:
    """The members of a list; PostNL's empty object is none."""
    return [one for one in tree.items(name, at_most=MOST_EVENTS) if one.value]


def _text(tree: Tree, *names: str) -> str:
    """A text; PostNL's empty object, and its name, stand for none."""
    found = tree.child(*names)
    if found.value in ({}, "{}"):
        return ""
    return found.text()
