"""What to ask, and what an answer says."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import Connector, Credential, Found, Item, NotFound, Outcome
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import read_moment
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan
from milepost.tracking.parcel import number_key


def build(manifest: Manifest) -> Connector:
    """The carrier's connector."""
    return RestJson(
        request=partial(request, manifest), read=partial(read, manifest), not_found=not_found
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number with all its events."""
    base = manifest.api.base_url if manifest.api else ""
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}",
        headers={"X-Api-Key": credential.fields.get("api_key", ""), "Accept": "application/json"},
    )


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What the carrier knows about ``item``."""
    if number_key(document.needed_text("number")) != number_key(item.number):
        raise CarrierParseError("another number than the one we asked for")
    return Found(scans=tuple(_scans(manifest, document)), complete=True)


def not_found(document: Tree, item: Item) -> Outcome:
    """The carrier's own 404, which is not a proxy's."""
    if document.text("error") != "unknown_number":
        raise CarrierParseError("a 404 that is not the carrier's own")
    return NotFound()


def _scans(manifest: Manifest, document: Tree) -> Iterator[Scan]:
    """The events, in whatever order they are told, from the oldest to the newest."""
    events = list(document.items("events", at_most=MOST_EVENTS))
    for position, (moment, event) in enumerate(in_order(events, partial(_moment, manifest))):
        code = event.text("code")
        scan_class, reading = manifest.classify(code)
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=event.text("text"),
            moment=moment,
            reading=reading,
            place=_place(event),
            position=position,
            mapping_version=manifest.mapping_version,
        )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """A time without an offset is local time of the place."""
    zone = zone_of(event.text("country"), event.text("postal_code"), manifest.home_zone)
    return read_moment(event.needed_text("time"), zone, manifest.home_zone, previous)


def _place(event: Tree) -> Place:
    return Place(
        city=event.text("city"),
        country_code=event.text("country").upper()[:2],
        postal_code=event.text("postal_code"),
    )
