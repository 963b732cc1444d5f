"""What an answer of Amazon Shipping's getTracking says."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
    proofs,
    related,
)
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

# 400 with NotFound's own code is hearsay; the documented one for it is 404.
UNKNOWN = frozenset({"NotFound", "InvalidTrackingId", "TRACKING_ID_NOT_FOUND"})
RETURNS = "RETURNS"


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Amazon knows about ``item``."""
    payload = document.child("payload")
    # Its examples show what is inside alone.
    told = document if payload.value is None else payload
    wanted = number_key(item.number)
    forth, back = (number_key(told.text(name)) for name in ("trackingId", "alternateLegTrackingId"))
    if wanted not in (forth, back):
        raise CarrierParseError("another parcel than the one we asked for")
    events = list(told.items("eventHistory", at_most=MOST_EVENTS))
    if not events:
        return NotFound()
    summary = told.child("summary")
    proof = summary.child("proofOfDelivery")
    scans = tuple(_scans(manifest, events, summary))
    return Found(
        scans=scans,
        complete=True,
        estimate=_estimate(manifest, told, item, scans),
        signed_by=proof.text("receivedBy"),
        proofs_of_delivery=proofs(links=[proof.text("deliveryImageURL")]),
        related_numbers=related("other", [forth], wanted) + related("return", [back], wanted),
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """Amazon's own "no such number"; any other refusal is a fault of the question."""
    codes = [error.text("code") for error in document.items("errors")]
    if not codes:
        raise CarrierParseError("an error that is not Amazon's own")
    if UNKNOWN & set(codes):
        return NotFound()
    return Broken(f"refused with {', '.join(sorted(set(codes)))[:100]}", lane_wide=False)


def _scans(manifest: Manifest, events: list[Tree], summary: Tree) -> Iterator[Scan]:
    timed = in_order(events, partial(_moment, manifest))
    for position, (moment, event) in enumerate(timed):
        code = event.text("eventCode")
        scan_class, reading = _reading(manifest, code)
        leg: Literal["", "return"] = "return" if event.text("shipmentType") == RETURNS else ""
        # They are the parcel's; only an end stays the last event they are about.
        ended = position == len(timed) - 1 and reading.phase is Phase.DELIVERED
        fields = {
            "details": _details(summary, leg) if ended else "",
            "state": event.text("location", "stateOrRegion"),
            "clamped": "true" if is_clamped(moment) else "",
        }
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            # Amazon tells no words.
            raw_text="",
            moment=moment,
            reading=reading,
            place=_place(event),
            position=position,
            leg=leg,
            raw_fields={name: text for name, text in fields.items() if text},
            mapping_version=manifest.mapping_version,
        )


def _reading(manifest: Manifest, code: str) -> tuple[str, Reading]:
    """What is no event's code may be a state's: both lists are Amazon's, and overlap."""
    scan_class, reading = manifest.classify(code)
    state = manifest.by_code.get(f"status:{code}")
    return scan_class, state.reading if state and reading == UNREAD else reading


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    return _reading(manifest, told.raw_code)[1]


def _details(summary: Tree, leg: str) -> str:
    """What Amazon adds to the state: why nobody took the parcel, for one."""
    name = "returns" if leg else "forward"
    told = [one.text() for one in summary.items("trackingDetailCodes", name, at_most=20)]
    return ", ".join(filter(None, told))


def _place(event: Tree) -> Place:
    location = event.child("location")
    return Place(
        city=location.text("city"),
        country_code=location.text("countryCode").upper()[:2],
        postal_code=location.text("postalCode"),
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    place = _place(event)
    zone = zone_of(place.country_code, place.postal_code, manifest.home_zone, place.city)
    return read_moment(event.needed_text("eventTime"), zone, manifest.home_zone, previous)


def _estimate(
    manifest: Manifest, told: Tree, item: Item, scans: tuple[Scan, ...]
) -> DeliveryEstimate | None:
    """The moment by which Amazon promised to deliver, and its day where the parcel goes."""
    stated = told.text("promisedDeliveryDate")
    if not stated:
        return None
    country = item.destination_country or scans[-1].place.country_code
    zone = zone_of(country, item.postal_code, manifest.home_zone)
    promised = read_moment(stated, zone, manifest.home_zone)
    day = promised.instant.astimezone(ZoneInfo(zone.name)).date()
    return DeliveryEstimate(day=day, latest=promised.instant)
