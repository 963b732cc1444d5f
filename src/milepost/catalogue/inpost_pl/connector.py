"""InPost's ShipX tracking: what to ask, and what an answer says."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    ServicePoint,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

UNKNOWN_NUMBER = "resource_not_found"
DROPPED_IN_LOCKER = "dispatched_by_sender"
IN_BETWEEN = "stack_"
"""States of a parcel that waits elsewhere than where it is to be fetched."""


def build(manifest: Manifest) -> Connector:
    """InPost Poland's connector."""
    return RestJson(
        request=partial(request, manifest), read=partial(read, manifest), not_found=not_found
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number; nobody has to log in."""
    base = manifest.api.base_url if manifest.api else ""
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}", headers={"Accept": "application/json"}
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """InPost's own 404 names its error."""
    if document.text("error") != UNKNOWN_NUMBER:
        raise CarrierParseError("a 404 that is not InPost's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What InPost knows about ``item``."""
    if number_key(document.text("tracking_number")) != number_key(item.number):
        raise CarrierParseError("another parcel than the one we asked for")
    scans = tuple(_scans(manifest, document))
    if not scans:
        return NotFound()
    return Found(
        scans=scans,
        complete=True,
        service=document.text("service"),
        service_point=_target(document),
    )


def _target(parcel: Tree) -> ServicePoint:
    """The locker or shop it is meant for."""
    hours = parcel.text("custom_attributes", "target_machine_detail", "opening_hours")
    place = _machine(parcel, "target")
    return ServicePoint("", place, (hours,) if hours else ()) if place else ServicePoint()


def _scans(manifest: Manifest, parcel: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest; InPost tells the newest first."""
    events = list(parcel.items("tracking_details", at_most=MOST_EVENTS))
    timed = in_order(events, partial(_moment, manifest), newest_first=True)
    for position, (moment, event) in enumerate(timed):
        yield _scan(manifest, parcel, event, moment, position)


def _scan(manifest: Manifest, parcel: Tree, event: Tree, moment: Moment, position: int) -> Scan:
    code = event.needed_text("status")
    scan_class, reading = manifest.classify(code)
    if reading.phase is Phase.PUP and not code.startswith(IN_BETWEEN):
        place = _point(event, parcel, "target")
    elif code == DROPPED_IN_LOCKER:
        place = _point(event, parcel, "dropoff")
    else:
        place = _depot(event)
    fields = {"clamped": "true" if is_clamped(moment) else ""}
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=event.text("origin_status") or code,
        moment=moment,
        reading=reading,
        place=place,
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _depot(event: Tree) -> Place:
    return Place(depot=event.text("agency") or event.text("location"))


def _point(event: Tree, parcel: Tree, which: str) -> Place:
    place = _machine(parcel, which)
    return replace(place, depot=event.text("agency")) if place else _depot(event)


def _machine(parcel: Tree, which: str) -> Place | None:
    """The locker or shop the parcel is handed in at (``dropoff``) or fetched from (``target``)."""
    attributes = parcel.child("custom_attributes")
    point = attributes.child(f"{which}_machine_detail")
    name = attributes.text(f"{which}_machine_id") or point.text("name")
    if not name:
        return None
    postal_code, _, city = point.text("address", "line2").partition(" ")
    return Place(
        city=city,
        country_code="PL",
        postal_code=postal_code if city else "",
        street=point.text("address", "line1"),
        service_point_id=name,
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    home = manifest.home_zone
    stated = event.needed_text("datetime")
    return read_moment(stated, Zone(home, ZoneSource.ASSUMED), home, previous)
