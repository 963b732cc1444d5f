"""Spring's XBS: what to ask, and what an answer says."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    RelatedNumber,
    related,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan
from milepost.tracking.parcel import number_key

FAILED = "10"
"""The ErrorLevel of a command that did nothing; 1 is a warning beside an answer."""
_UNKNOWN = re.compile(r"not found|unknown shipment|no shipment", re.IGNORECASE)
_LOGIN = re.compile(r"api ?key|authenti|authori[sz]|access denied", re.IGNORECASE)
FARTHEST_OFFSET = timedelta(hours=14)
QUARTER = timedelta(minutes=15)


def build(manifest: Manifest) -> Connector:
    """Spring's connector. Everything it says comes with 200; a 404 is a proxy's."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number. The key is part of the question."""
    question = {
        "Apikey": credential.fields.get("api_key", ""),
        "Command": "TrackShipment",
        "Shipment": {"TrackingNumber": number_key(item.number)},
    }
    return Request(
        manifest.api.base_url if manifest.api else "",
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        method="POST",
        body=orjson.dumps(question),
    )


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Spring knows about ``item``, or which error it names."""
    if document.needed_text("ErrorLevel") == FAILED:
        return _failure(document.text("Error"))
    shipment = document.child("Shipment")
    if number_key(item.number) not in _numbers(shipment):
        raise CarrierParseError("another shipment than the one we asked for")
    scans = tuple(_scans(manifest, shipment))
    if not scans:
        return NotFound()
    return Found(
        scans=scans,
        complete=True,
        service=shipment.text("Service"),
        related_numbers=_related(shipment, item),
    )


def _failure(error: str) -> Outcome:
    """Spring publishes no codes of its errors, only sentences."""
    if _UNKNOWN.search(error):
        return NotFound()
    if _LOGIN.search(error):
        return credential_refused("Spring refused the API key")
    return Broken("the command failed", lane_wide=False)


def _told(shipment: Tree) -> list[str]:
    names = ("TrackingNumber", "DisplayId", "CarrierTrackingNumber", "CarrierLocalTrackingNumber")
    return [text for text in map(shipment.text, names) if text]


def _numbers(shipment: Tree) -> set[str]:
    return {number_key(number) for number in _told(shipment)}


def _related(shipment: Tree, item: Item) -> tuple[RelatedNumber, ...]:
    """The numbers of who takes the parcel over."""
    own = number_key(shipment.text("TrackingNumber"))
    theirs = [number for number in _told(shipment) if number_key(number) != own]
    return related("last_mile", theirs, item.number, shipment.text("Carrier"))


def _scans(manifest: Manifest, shipment: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    events = list(shipment.items("Events", at_most=MOST_EVENTS))
    for position, (moment, event) in enumerate(in_order(events, partial(_moment, manifest))):
        yield _scan(manifest, event, moment, position)


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code = event.needed_text("Code")
    scan_class, reading = manifest.classify(code)
    fields = {
        "carrier_code": event.text("CarrierCode"),
        "carrier_text": event.text("CarrierDescription"),
        "state": event.text("State"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=event.text("Description"),
        moment=moment,
        reading=reading,
        place=_place(event),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _place(event: Tree) -> Place:
    return Place(
        city=event.text("City"),
        country_code=event.text("Country").upper()[:2],
        postal_code=event.text("Zip"),
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """The wall clock as printed; which clock that is shows in the seconds since 1970 beside it."""
    place, stated = _place(event), event.needed_text("DateTime")
    zone = zone_of(place.country_code, place.postal_code, manifest.home_zone, place.city)
    offset = _offset(stated, event.text("Timestamp"))
    if not offset:
        return read_moment(stated, zone, manifest.home_zone, previous)
    return replace(read_moment(f"{stated}{offset}", zone, manifest.home_zone), stated=stated)


def _offset(stated: str, seconds: str) -> str:
    """By how much ``stated`` is ahead of UTC; ``""`` where the two are not one time."""
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 10):
        return ""
    try:
        wall = datetime.fromisoformat(stated.strip()).replace(tzinfo=UTC)
    except ValueError:
        return ""
    ahead = wall - datetime.fromtimestamp(int(seconds), UTC)
    if abs(ahead) > FARTHEST_OFFSET or ahead % QUARTER:
        return ""
    sign, hours = "-" if ahead < timedelta() else "+", abs(ahead)
    return f"{sign}{hours // timedelta(hours=1):02d}:{hours // timedelta(minutes=1) % 60:02d}"
