"""The tracking of InPost's Group API, which its markets outside Poland share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree, read_json
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    related,
)
from milepost.carriers.exchange import Request
from milepost.carriers.localities import country_code
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.oauth2 import client_tokens, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

TOKEN_URL = "https://api.inpost-group.com/oauth2/token"  # noqa: S105 - an address
SCOPE = "openid api:tracking:read"
EVENTS = "V1"
"""The version of the event catalogue that InPost says it will keep."""
TOPIC = "x-inpost-topic"
TRACKING = "Shipment.Tracking"
_POINTS = frozenset({"LOCKER_POINT", "PUDO_POINT", "MPOK_POINT"})
_ADDRESS = "ADDRESS"
_UTC = "+00:00"


def inpost_group(manifest: Manifest) -> Connector:
    """The connector of one market."""
    return RestJson(
        request=lambda item, credential: request(manifest, [item], credential),
        batch=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=client_tokens(ask_token),
    )


def ask_token(credential: Credential) -> Request:
    """The question for an access token, which is good for about ten minutes."""
    fields = credential.fields
    client_id, client_secret = fields.get("client_id", ""), fields.get("client_secret", "")
    return token_form(TOKEN_URL, client_id, client_secret, {"scope": SCOPE})


def request(manifest: Manifest, items: Sequence[Item], credential: Credential) -> Request:
    """Up to ten numbers with all their events."""
    return Request(
        manifest.api.base_url if manifest.api else "",
        query=tuple(("trackingNumbers", number_key(item.number)) for item in items),
        headers={"Accept": "application/json", "x-inpost-event-version": EVENTS},
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """A 404 of InPost's own states itself, as its errors do (RFC 9457); a gateway's does not."""
    if document.text("status") != "404" and "not-found" not in document.text("type"):
        raise CarrierParseError("a 404 that is not InPost's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What InPost knows about ``item``, one of the numbers asked about.

    One that is not among the parcels told is unknown; a list of them is there in any case.
    """
    if not isinstance(document.child("parcels").value, list | dict):
        raise CarrierParseError("the answer tells of no parcels at all")
    wanted = number_key(item.number)
    told = [
        parcel
        for parcel in document.items("parcels")
        if number_key(parcel.text("trackingNumber")) == wanted
    ]
    if len(told) > 1:
        raise CarrierParseError("two parcels for the number we asked for")
    scans = tuple(_scans(manifest, told[0])) if told else ()
    if not scans:
        return NotFound()
    parcel, events = told[0], list(told[0].items("events"))
    back = [one.text("returnToSender", "trackingNumber") for one in (parcel, *events)]
    return Found(
        scans=scans,
        complete=True,
        signed_by=_signed_by(parcel, events) if _delivered(scans) else "",
        related_numbers=related("return", back, wanted),
        raw=parcel.as_json(),
    )


def read_push(
    manifest: Manifest, body: bytes, headers: Mapping[str, str]
) -> list[tuple[str, Found]]:
    """What a webhook tells: one event in the form that the tracking tells it, with its parcel's
    number. Other topics than tracking are about no parcel."""
    if headers.get(TOPIC, TRACKING) != TRACKING:
        return []
    event = read_json(body)
    number = event.needed_text("trackingNumber")
    scans = tuple(_scans(manifest, Tree({"events": [event.value]}, "push")))
    found = Found(
        scans=scans,
        complete=False,
        signed_by=_signed_by(event, []) if _delivered(scans) else "",
        related_numbers=related("return", [event.text("returnToSender", "trackingNumber")], number),
        raw=event.as_json(),
    )
    return [(number, found)]


def _delivered(scans: Sequence[Scan]) -> bool:
    return any(scan.reading.phase is Phase.DELIVERED for scan in scans)


def _signed_by(parcel: Tree, events: Sequence[Tree]) -> str:
    names = (one.text("delivery", "recipientName") for one in (parcel, *events))
    return next(filter(None, names), "")


def _scans(manifest: Manifest, parcel: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    events = list(parcel.items("events", at_most=MOST_EVENTS))
    timed = in_order(events, partial(_moment, manifest))
    for position, (moment, event) in enumerate(timed):
        yield _scan(manifest, event, moment, position)


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code = event.needed_text("eventCode")
    scan_class, reading = manifest.classify(code)
    destination = event.child("newDestination")
    fields = {
        "shipment": event.text("shipment", "type"),
        "notes": event.text("delivery", "deliveryNotes"),
        "new_destination": destination.text("id") or destination.text("name"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=event.text("status") or code,
        moment=moment,
        reading=reading,
        place=_place(event.child("location")),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _place(location: Tree) -> Place:
    """Where it happened. Of an address that is no point's, street and name are the recipient's."""
    kind, name = location.text("type"), location.text("name")
    private = kind == _ADDRESS
    return Place(
        city=location.text("city"),
        country_code=country_code(location.text("country")),
        postal_code=location.text("postalCode"),
        street="" if private else location.text("address"),
        depot="" if private else name,
        service_point_id=(location.text("id") or name) if kind in _POINTS else "",
    )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """The event's time: with an offset, else local to its place."""
    stated = event.text("eventTimestamp") or event.needed_text("timestamp")
    location = event.child("location")
    zone = zone_of(
        country_code(location.text("country")), location.text("postalCode"), manifest.home_zone
    )
    # Its two spellings of UTC are one clock, and make one scan.
    iso = stated.removesuffix(_UTC) + "Z" if stated.endswith(_UTC) else stated
    return replace(read_moment(iso, zone, manifest.home_zone, previous), stated=stated)
