"""DHL's Shipment Tracking - Unified: what to ask, and what an answer says."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.connector import (
    Connector,
    Credential,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    of_shipment,
    proofs,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import Zone, zone_of
from milepost.catalogue.dhl.localities import place_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Place, Precision, Scan, Wording, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase, Reading

# Where a division is at home: the clock of an event whose place is not told.
_ZONE_OF_SERVICE = {
    "parcel-de": "Europe/Berlin",
    "parcel-nl": "Europe/Amsterdam",
    "parcel-pl": "Europe/Warsaw",
    "parcel-uk": "Europe/London",
    "post-de": "Europe/Berlin",
    "ecommerce-iberia": "Europe/Madrid",
    "ecommerce-ppl": "Europe/Prague",
}


def build(manifest: Manifest) -> Connector:
    """DHL's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        reread=partial(reread, manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number per question; in English, the only language whose texts we read."""
    query = {
        "trackingNumber": number_key(item.number),
        "language": "en",
        "service": credential.fields.get("service", ""),
        "recipientPostalCode": item.postal_code,
        "requesterCountryCode": item.destination_country.upper(),
    }
    return Request(
        manifest.api.base_url if manifest.api else "",
        query=tuple((name, value) for name, value in query.items() if value),
        headers={"DHL-API-Key": credential.fields.get("api_key", ""), "Accept": "application/json"},
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """DHL's own 404 is a problem document that repeats the status."""
    if document.text("status") != "404":
        raise CarrierParseError("a 404 that is not DHL's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What DHL knows about ``item``."""
    shipment = _shipment_of(document, item)
    scans = tuple(_scans(manifest, shipment, item))
    proof = shipment.child("details", "proofOfDelivery")
    return Found(
        scans=scans,
        complete=any(shipment.items("events")),
        estimate=_estimate(manifest, shipment),
        signed_by=_signed_by(proof.child("signed")),
        service=_service(shipment),
        related_numbers=of_shipment(shipment.text("id"), _pieces(shipment), item.number),
        proofs_of_delivery=proofs(links=[proof.text("documentUrl"), proof.text("signatureUrl")]),
    )


def _shipment_of(document: Tree, item: Item) -> Tree:
    """The shipment that is meant. DHL may tell several: divisions use the same numbers."""
    told = list(document.items("shipments"))
    about_it = [shipment for shipment in told if number_key(item.number) in _numbers(shipment)]
    if not about_it:
        raise CarrierParseError(f"none of {len(told)} shipments has the number we asked for")
    return max(about_it, key=lambda shipment: _likeness(shipment, item))


def _numbers(shipment: Tree) -> set[str]:
    return {number_key(number) for number in (shipment.text("id"), *_pieces(shipment)) if number}


def _pieces(shipment: Tree) -> list[str]:
    return [piece.text() for piece in shipment.items("details", "pieceIds")]


def _likeness(shipment: Tree, item: Item) -> tuple[bool, bool, str]:
    address = shipment.child("destination", "address")
    return (
        bool(item.postal_code)
        and number_key(address.text("postalCode")) == number_key(item.postal_code),
        bool(item.destination_country)
        and address.text("countryCode").upper() == item.destination_country.upper(),
        shipment.text("status", "timestamp"),
    )


def _scans(manifest: Manifest, shipment: Tree, item: Item) -> Iterator[Scan]:
    """The events from the oldest to the newest, or the coarse state where there are none."""
    events = [event for event in _oldest_first(shipment) if _concerns(event, shipment, item)]
    if not events and shipment.text("status", "statusCode") not in ("", "unknown"):
        events = [shipment.child("status")]
    previous: datetime | None = None
    for position, event in enumerate(events):
        last = position == len(events) - 1
        scan = _scan(manifest, shipment, event, position, previous, last=last)
        previous = scan.moment.instant
        yield scan


def _oldest_first(shipment: Tree) -> list[Tree]:
    # Newest first is what DHL does, but nothing promises it.
    events = list(shipment.items("events", at_most=MOST_EVENTS))
    if events and events[0].text("timestamp") >= events[-1].text("timestamp"):
        events.reverse()
    return events


def _concerns(event: Tree, shipment: Tree, item: Item) -> bool:
    """An event of named pieces is another parcel's, if a piece is what we ask about."""
    number = number_key(item.number)
    pieces = {number_key(piece.text()) for piece in event.items("pieceIds")}
    return not pieces or number in pieces or number == number_key(shipment.text("id"))


def _scan(
    manifest: Manifest,
    shipment: Tree,
    event: Tree,
    position: int,
    previous: datetime | None,
    *,
    last: bool,
) -> Scan:
    code, title, detail = (event.text(name) for name in ("statusCode", "status", "description"))
    place = place_of(event.child("location"))
    scan_class, reading = _reading(manifest, code, _told(title, detail), event.text("remark"))
    moment = read_moment(
        event.needed_text("timestamp"),
        _zone(manifest, shipment, place),
        manifest.home_zone,
        previous,
    )
    is_return = last and shipment.flag("returnFlag") and reading.phase is Phase.DELIVERED
    fields = {
        name: event.text(name) for name in ("status", "statusDetailed", "remark", "nextSteps")
    }
    fields["locality"] = event.text("location", "address", "addressLocality")
    fields["clamped"] = "true" if is_clamped(moment) else ""
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=_told(title, detail),
        moment=moment,
        reading=reading,
        place=place,
        position=position,
        leg="return" if is_return else "",
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _reading(manifest: Manifest, code: str, text: str, remark: str) -> tuple[str, Reading]:
    # A remark often speaks of what will come; it is heeded where the state is settled.
    settled = code in ("delivered", "failure")
    return manifest.classify(code, text, remark if settled else "")


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    remark = told.raw_fields.get("remark", "")
    return _reading(manifest, told.raw_code, told.raw_text, remark)[1]


def _told(title: str, detail: str) -> str:
    """Title and detail in one, once where they say the same. Some divisions' titles are numbers."""
    if not detail or title.casefold() in detail.casefold() or not any(map(str.isalpha, title)):
        return detail or title
    return title if detail.casefold() in title.casefold() else f"{title}: {detail}"


def _zone(manifest: Manifest, shipment: Tree, place: Place) -> Zone:
    if place.country_code:
        return zone_of(place.country_code, place.postal_code, manifest.home_zone, place.city)
    name = _ZONE_OF_SERVICE.get(shipment.text("service"), manifest.home_zone)
    return Zone(name, ZoneSource.ASSUMED)


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The stated day, and the window where DHL gives one; local time of the destination."""
    zone = _zone(manifest, shipment, place_of(shipment.child("destination")))
    frame = shipment.child("estimatedDeliveryTimeFrame")
    told = shipment.text("estimatedTimeOfDelivery")
    earliest, latest = (
        read_moment(text, zone, manifest.home_zone) if text else None
        for text in (frame.text("estimatedFrom"), frame.text("estimatedThrough"))
    )
    whole = read_moment(told, zone, manifest.home_zone) if told else earliest
    if whole is None:
        return None
    windowed = earliest is not None and earliest.precision is Precision.INSTANT
    return DeliveryEstimate(
        # The day as printed: DHL marks plain local midnights with a Z.
        day=datetime.fromisoformat(whole.stated.strip()[:10]).date(),
        earliest=earliest.instant if earliest and windowed else None,
        latest=latest.instant if latest and windowed else None,
    )


def _service(shipment: Tree) -> str:
    product = shipment.text("details", "product", "productName")
    return product if product and "unknown" not in product.casefold() else shipment.text("service")


def _signed_by(signed: Tree) -> str:
    both = f"{signed.text('givenName')} {signed.text('familyName')}".strip()
    return both or signed.text("name") or signed.text("organizationName")
