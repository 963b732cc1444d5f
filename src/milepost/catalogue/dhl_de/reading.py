"""What an answer of DHL Paket's tracking says, all of it in attributes."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from milepost.carriers.answer_tree import MOST_EVENTS
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import Broken, Found, Item, NotFound, Outcome
from milepost.carriers.localities import country_code
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

LOGIN_REFUSED = "5"
NO_DATA = "100"
_ANSWERED = ("", "0")
_PRINTED = "%d.%m.%Y %H:%M"
_SHIPMENT = ("piece-shipment", "pieceshipment")
_EVENT_LIST = ("piece-event-list", "pieceeventlist")
_EVENT = ("piece-event", "pieceevent")
_NUMBERS = ("searched-piece-code", "piece-code", "piece-identifier")
_DELIVERED, _UNREAD = "delivered", "unread"


def read(manifest: Manifest, document: XmlTree, item: Item) -> Outcome:
    """What DHL knows about ``item``, one of the numbers asked about."""
    fault = _fault(document)
    if fault is not None:
        return fault
    shipment = _shipment_of(document, item)
    status = shipment.attribute("error-status")
    if status not in _ANSWERED:
        return NotFound() if status == NO_DATA else _broken(status)
    events = [
        event for some in _named(shipment, _EVENT_LIST) for event in _named(some, _EVENT)
    ] or list(_named(shipment, _EVENT))
    if not events:
        return NotFound()
    return Found(
        scans=tuple(_scans(manifest, shipment, events)),
        complete=True,
        service=shipment.attribute("product-name"),
        raw=shipment.source(),
        raw_type="text/xml",
    )


def not_found(document: XmlTree, item: Item) -> Outcome:
    """DHL's own "no data", should it come with a 404."""
    fault = _fault(document)
    if fault is None:
        raise CarrierParseError("a 404 that is not DHL's own")
    return fault


def _fault(document: XmlTree) -> Outcome | None:
    """What is wrong with the whole question, if anything."""
    if document.name != "data":
        raise CarrierParseError(f"the answer is called {document.name}")
    code = document.attribute("code")
    if code in _ANSWERED:
        return None
    if code == LOGIN_REFUSED:
        return credential_refused("DHL refused the login")
    return NotFound() if code == NO_DATA else _broken(code)


def _broken(code: str) -> Broken:
    return Broken(f"DHL's error: {code}", lane_wide=False)


def _shipment_of(document: XmlTree, item: Item) -> XmlTree:
    wanted = number_key(item.number)
    for shipment in _named(document, _SHIPMENT):
        if wanted in {number_key(shipment.attribute(name)) for name in _NUMBERS}:
            return shipment
    raise CarrierParseError("no shipment has the number we asked for")


def _named(parent: XmlTree, names: Sequence[str]) -> Iterator[XmlTree]:
    """The elements right below that have one of ``names``: all are called data."""
    for one in parent.items("data"):
        if one.attribute("name") in names:
            yield one


def _scans(manifest: Manifest, shipment: XmlTree, events: Sequence[XmlTree]) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    if len(events) > MOST_EVENTS:
        raise CarrierParseError(f"more than {MOST_EVENTS} events")

    def moment(event: XmlTree, previous: datetime | None) -> Moment:
        stated = event.attribute("event-timestamp")
        zone = zone_of(_place(event).country_code, "", manifest.home_zone)
        return read_printed(stated, _PRINTED, zone, manifest.home_zone, previous)

    timed = in_order(events, moment)
    for position, (when, event) in enumerate(timed):
        taker = shipment.attribute("recipient-id-text") if position == len(timed) - 1 else ""
        yield _scan(manifest, event, when, position, taker)


def _scan(manifest: Manifest, event: XmlTree, moment: Moment, position: int, taker: str) -> Scan:
    code, international = event.attribute("standard-event-code"), event.attribute("ice")
    text = event.attribute("event-text") or event.attribute("event-status")
    reading = _reading(manifest, code, international, text, taker)
    fields = {
        "ice": international,
        "ric": event.attribute("ric"),
        "short_status": event.attribute("event-short-status"),
        "taken_by": taker if reading.phase is Phase.DELIVERED else "",
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=code or international or "uncoded",
        raw_code=code or international,
        raw_text=text,
        moment=moment,
        reading=reading,
        place=_place(event),
        position=position,
        leg="return" if event.attribute("ruecksendung") == "true" else "",
        raw_fields={name: told for name, told in fields.items() if told},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    international, taker = (told.raw_fields.get(name, "") for name in ("ice", "taken_by"))
    code = "" if told.raw_code == international else told.raw_code
    return _reading(manifest, code, international, told.raw_text, taker)


def _reading(manifest: Manifest, code: str, international: str, text: str, taker: str) -> Reading:
    """The meaning of DHL's code, else of the international one, else of the text.

    The text and who took it say where a delivery was left, the text why one was not made.
    """
    known = manifest.by_code.get(code) or manifest.by_code.get(f"ice:{international}")
    if known is None:
        return manifest.classify(_UNREAD, text)[1]
    finer = UNREAD
    if known.reading.phase is Phase.DELIVERED:
        finer = manifest.classify(_DELIVERED, text, taker)[1]
    elif known.reading.phase is Phase.ATTEMPTED:
        finer = manifest.classify(_UNREAD, text)[1]
    return known.reading if finer == UNREAD else finer


def _place(event: XmlTree) -> Place:
    return Place(
        city=event.attribute("event-location"),
        country_code=country_code(event.attribute("event-country")),
    )
