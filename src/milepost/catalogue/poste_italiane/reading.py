"""What an answer of Poste Delivery Business says about one waybill."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import Broken, Found, Item, NotFound, Outcome
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Reading

DONE = "0"
# Poste groups its codes (1xx form, 2xx business, 999 anything) and publishes none of them.
_UNKNOWN = re.compile(r"non trovat|nessun|inesistent|not found|no (data|shipment)", re.IGNORECASE)
_OFFICE = re.compile(r"(?P<city>.+?) \((?P<province>[A-Z]{2})\)")


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Poste knows about ``item``, or which error it names."""
    answer = document.child("return")
    code = answer.needed_text("code")
    if code != DONE or answer.text("outcome").upper() == "KO":
        return _failure(answer, code)
    told = list(answer.items("shipment"))
    wanted = number_key(item.number)
    shipment = next((one for one in told if number_key(one.text("waybillNumber")) == wanted), None)
    if shipment is None and told:
        raise CarrierParseError("no shipment has the number we asked for")
    scans = () if shipment is None else tuple(_scans(manifest, shipment))
    if shipment is None or not scans:
        return NotFound()
    return Found(scans=scans, complete=True, service=shipment.text("product"))


def _failure(answer: Tree, code: str) -> Outcome:
    if any(_UNKNOWN.search(text) for text in _messages(answer)):
        return NotFound()
    return Broken(f"error {code[:20]}", lane_wide=False)


def _messages(answer: Tree) -> Iterator[str]:
    """The sentences of an error: lists of them in a list."""
    for group in answer.items("messages"):
        yield from (message.text() for message in group.items("messages"))


def _scans(manifest: Manifest, shipment: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    events = list(shipment.items("tracking", at_most=MOST_EVENTS))
    for position, (moment, event) in enumerate(in_order(events, partial(_moment, manifest))):
        yield _scan(manifest, event, moment, position)


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code, text = event.text("status"), event.text("StatusDescription")
    synthesis, phase = event.text("synthesisStatusDescription"), event.text("phase")
    scan_class, reading = manifest.classify_by_code(code, text, synthesis, phase)
    fields = {
        "synthesis": synthesis,
        "phase": phase,
        "office_kind": event.text("officeId"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=text or synthesis or phase,
        moment=moment,
        reading=reading,
        place=_place(event),
        position=position,
        raw_fields={name: told for name, told in fields.items() if told},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    beside = (told.raw_fields.get(name, "") for name in ("synthesis", "phase"))
    return manifest.classify_by_code(told.raw_code, told.raw_text, *beside)[1]


def _place(event: Tree) -> Place:
    """``Genova (GE)`` is a town and its province; a place abroad has none."""
    office = event.text("officeDescription")
    match = _OFFICE.fullmatch(office)
    return Place(city=match["city"], country_code="IT") if match else Place(city=office)


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    home = manifest.home_zone
    source = ZoneSource.PLACE if _place(event).country_code else ZoneSource.ASSUMED
    return read_moment(event.needed_text("data"), Zone(home, source), home, previous)
