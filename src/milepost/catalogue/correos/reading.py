"""What an answer of Correos's Trackpub says about one parcel."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import Broken, Found, Item, NotFound, Outcome
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.zones import Zone, zone_of, zone_of_spanish
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase, Reading

RETURNS = frozenset({"ADV0000V"})
"""Events of a parcel's way back that look like those of its way out."""
NO_ERROR = frozenset({"", "0"})
# Correos publishes no list of its errors; this is how it words an unknown code elsewhere.
_UNKNOWN = re.compile(r"no (se )?(ha )?encontrad|no existe|sin informaci|not found", re.IGNORECASE)
_SPAIN = frozenset({"", "ES", "ESP", "ESPAÑA"})


def not_found(document: Tree, item: Item) -> Outcome:
    """Correos's own 404 says in words that there is no such code."""
    if any(_UNKNOWN.search(text) for _, text in _errors(document)):
        return NotFound()
    raise CarrierParseError("a 404 that is not Correos's own")


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Correos knows about ``item``: one shipment, or a list that holds it."""
    # A list is answered where several codes are asked for, and by some gateways.
    told = list(document.items())
    wanted = number_key(item.number)
    for shipment in told:
        if number_key(shipment.text("code")) == wanted:
            return _shipment(manifest, shipment)
    nameless = [shipment for shipment in told if not shipment.text("code")]
    return _nothing([error for shipment in nameless for error in _errors(shipment)])


def _shipment(manifest: Manifest, shipment: Tree) -> Outcome:
    scans = tuple(_scans(manifest, shipment))
    if not scans:
        return _nothing([*_errors(shipment), ("", "sin información")])
    delivered = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    return Found(
        scans=scans,
        complete=True,
        # Who took it; the addressee stands in other fields.
        signed_by=shipment.text("receiverName") if delivered else "",
        service=shipment.text("codProduct"),
    )


def _nothing(errors: list[tuple[str, str]]) -> Outcome:
    """Why nothing is told: no such code, or a fault Correos names."""
    fault = next((code for code, text in errors if not _UNKNOWN.search(text)), None)
    if fault is not None:
        return Broken(f"error {fault[:20]}", lane_wide=False)
    if errors:
        return NotFound()
    raise CarrierParseError("no shipment has the code we asked for")


def _errors(shipment: Tree) -> list[tuple[str, str]]:
    """Code and text of each error; the gateway tells one as a text or as a message."""
    error = shipment.child("error")
    if isinstance(error.value, str) or shipment.text("message"):
        told = shipment.text("message") or error.text()
        return [("gateway", told)] if told else []
    both = [(one.text("codError"), one.text("desError")) for one in shipment.items("error")]
    return [(code, text) for code, text in both if code not in NO_ERROR]


def _scans(manifest: Manifest, shipment: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    events = list(shipment.items("events", at_most=MOST_EVENTS))
    for position, (moment, event) in enumerate(in_order(events, partial(_moment, manifest))):
        yield _scan(manifest, event, moment, position)


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code = event.needed_text("eventCode")
    fields = {
        "text": event.text("eventDes"),
        "long_text": event.text("expandedText"),
        "phase": event.text("phaseDes"),
        "unit": event.text("unit"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    summary = event.text("summaryText")
    words = summary or fields["text"] or fields["long_text"]
    scan_class, reading = manifest.classify_by_code(code, fields["text"], words)
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=words,
        moment=moment,
        reading=reading,
        place=replace(
            _place(event), service_point_id=fields["unit"] if reading.phase is Phase.PUP else ""
        ),
        position=position,
        leg="return" if code in RETURNS else "",
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    text = told.raw_fields.get("text", "")
    return manifest.classify_by_code(told.raw_code, text, told.raw_text)[1]


def _place(event: Tree) -> Place:
    """The unit and its province. A country is told for events abroad alone."""
    country, province = event.text("country").upper(), event.text("province")
    if country in _SPAIN and province:
        country = "ES"
    return Place(
        city=province,
        country_code=country if len(country) == 2 else "",
        depot=event.text("location"),
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    stated = f"{event.needed_text('eventDate')} {event.text('eventHours')}".strip()
    forms = ("%d/%m/%Y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S")
    form = forms[min(stated.count(":"), 2)]
    return read_printed(stated, form, _zone(manifest, event), manifest.home_zone, previous)


def _zone(manifest: Manifest, event: Tree) -> Zone:
    place = _place(event)
    if place.country_code == "ES":
        return zone_of_spanish(place.city, manifest.home_zone)
    return zone_of(place.country_code, "", manifest.home_zone)
