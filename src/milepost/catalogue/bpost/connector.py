"""bpost's tracking: what to ask, and what an answer says."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.basic_auth import basic
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    ServicePoint,
)
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.rest_xml import RestXml
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

_SENTENCE = re.compile(r"[^\W\d_]+(?: [^<>{}\[\]]+)+")
"""Words, as a proxy's page or document has none at its beginning."""


@dataclass(frozen=True)
class Bpost(RestXml):
    """bpost tells an unknown barcode in a plain sentence, not in XML."""

    def no_document(self, answer: Answer) -> Outcome:
        """A sentence says that the number is unknown; all else is another's, and says nothing."""
        if answer.status != 404:
            return RestXml.no_document(self, answer)
        told = answer.body.decode(errors="replace").strip()
        if _SENTENCE.fullmatch(told):
            return NotFound()
        return Broken("a 404 that is no sentence", lane_wide=False)


def build(manifest: Manifest) -> Connector:
    """bpost's connector."""
    return Bpost(
        request=partial(request, manifest), read=partial(read, manifest), not_found=not_found
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One barcode with all its states."""
    base = manifest.api.base_url if manifest.api else ""
    fields = credential.fields
    return Request(
        f"{base}/item/{quote(number_key(item.number), safe='')}/trackingInfo",
        headers={
            "Authorization": basic(fields.get("account_id", ""), fields.get("passphrase", "")),
            "Accept": "application/xml",
        },
    )


def read(manifest: Manifest, document: XmlTree, item: Item) -> Outcome:
    """What bpost knows about ``item``."""
    if document.name != "itemTracking":
        return read_fault(document, item)
    if number_key(document.text("itemCode")) != number_key(item.number):
        raise CarrierParseError("another item than the one we asked for")
    scans = tuple(_scans(manifest, document))
    if not scans:
        return NotFound()
    point = document.child("pickupPoint")
    return Found(
        scans=scans,
        complete=True,
        service_point=ServicePoint(point.text("name"), _pickup_point(point)),
        raw_type="text/xml",
    )


def not_found(document: XmlTree, item: Item) -> Outcome:
    """A 404 with one of bpost's exceptions; well-formed HTML is a proxy's."""
    if document.name.endswith("Exception"):
        return NotFound()
    raise CarrierParseError("a 404 that is not bpost's own")


def read_fault(document: XmlTree, item: Item) -> Outcome:
    """One of bpost's exceptions. Its message holds a token, so only its kind is told."""
    if document.name.endswith("Exception"):
        return Broken(f"bpost's {document.name}", lane_wide=document.name == "systemException")
    raise CarrierParseError("an answer that is not about an item")


def _scans(manifest: Manifest, document: XmlTree) -> Iterator[Scan]:
    """The states from the oldest to the newest, as bpost tells them."""
    states = list(document.items("stateInfo", at_most=MOST_EVENTS))
    for position, (moment, state) in enumerate(in_order(states, partial(_moment, manifest))):
        code = state.text("stateCode")
        scan_class, reading = manifest.classify(code)
        waits = reading.phase is Phase.PUP
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=state.text("stateDescription"),
            moment=moment,
            reading=reading,
            place=_pickup_point(document.child("pickupPoint")) if waits else Place(),
            position=position,
            raw_fields={"clamped": "true"} if is_clamped(moment) else {},
            mapping_version=manifest.mapping_version,
        )


def _moment(manifest: Manifest, state: XmlTree, previous: datetime | None) -> Moment:
    home = manifest.home_zone
    return read_moment(state.needed_text("time"), Zone(home, ZoneSource.ASSUMED), home, previous)


def _pickup_point(point: XmlTree) -> Place:
    """Where the parcel waits. bpost names no country: all its points are in its own."""
    if point.element is None:
        return Place()
    return Place(
        city=point.text("city"),
        country_code="BE",
        postal_code=point.text("postalCode"),
        street=point.text("streetName"),
        house_number=point.text("houseNumber"),
        depot=point.text("name"),
        service_point_id=point.text("id"),
    )
