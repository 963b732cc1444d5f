"""DHL Parcel Iberia's cimapi: what to ask with a token of its login, and what an answer says."""

from collections.abc import Iterator
from datetime import datetime
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
    Refused,
)
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.oauth2 import is_token
from milepost.carriers.platforms.refusals import credential_refused, refusal_of
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.tokens import Granted, Tokens
from milepost.carriers.zones import Zone, zone_of_spanish
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

TOKEN_SECONDS = 900.0
"""How long a token lasts is not documented; one that ran out is replaced."""
NO_SUCH_PATH = "HTTP resource"
"""How the server's own 404 begins to say that nothing is there."""


def build(manifest: Manifest) -> Connector:
    """DHL Parcel Iberia's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=Tokens(
            partial(ask_token, manifest), read_token, lambda answer: answer.status == 401
        ),
    )


def ask_token(manifest: Manifest, credential: Credential) -> Request:
    """The login."""
    login = {
        "Username": credential.fields.get("username", ""),
        "Password": credential.fields.get("password", ""),
    }
    return Request(
        f"{_base(manifest)}/authenticate",
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        method="POST",
        body=orjson.dumps(login),
        remember=False,
    )


def read_token(answer: Answer) -> Granted | Refused | Broken:
    """The token, which is the whole answer: a JSON text, or that text alone."""
    if answer.status == 400:
        return credential_refused("no token: the login was refused with 400")
    if answer.status != 200:
        return refusal_of(answer)
    text = answer.body.decode("ascii", "replace").strip().strip('"')
    if not is_token(text) or text.startswith(("<", "{", "[")):
        return Broken("no token: the answer holds none")
    return Granted(text, TOKEN_SECONDS)


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number with its shipment and all events, told in Spanish. The platform adds the token."""
    query = {"id": number_key(item.number), "idioma": "es", "show": "both"}
    return Request(
        f"{_base(manifest)}/track",
        query=tuple(query.items()),
        headers={"Accept": "application/json"},
    )


def _base(manifest: Manifest) -> str:
    return manifest.api.base_url if manifest.api else ""


def not_found(document: Tree, item: Item) -> Outcome:
    """DHL's own 404 says so in a message; the server's says that there is no such path."""
    message = document.text("Message")
    if not message or NO_SUCH_PATH in message:
        raise CarrierParseError("a 404 that is not DHL's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What DHL Parcel Iberia knows about ``item``."""
    shipments = list(document.items(at_most=MOST_EVENTS))
    if all(one.text("DateTime") and not one.text("Tracking") for one in shipments):
        # The events alone, as public programs have met them: whose they are the question says.
        scans = tuple(_scans(manifest, shipments))
        return Found(scans=scans, complete=True) if scans else NotFound()
    wanted = number_key(item.number)
    for shipment in shipments:
        if wanted in {number_key(shipment.text(name)) for name in ("Tracking", "AWB")}:
            return _shipment(manifest, shipment)
    raise CarrierParseError("no shipment has the number we asked for")


def _shipment(manifest: Manifest, shipment: Tree) -> Outcome:
    scans = tuple(_scans(manifest, list(shipment.items("Events", at_most=MOST_EVENTS))))
    if not scans:
        return NotFound()
    delivered = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    return Found(
        scans=scans,
        complete=True,
        # Before that it may be the addressee.
        signed_by=shipment.text("Receiver") if delivered else "",
        service=shipment.text("Product"),
    )


def _scans(manifest: Manifest, events: list[Tree]) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    for position, (moment, event) in enumerate(in_order(events, partial(_moment, manifest))):
        code, text = event.text("Code"), event.text("Status")
        scan_class, reading = manifest.classify(code, text)
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=text,
            moment=moment,
            reading=reading,
            place=Place(city=event.text("Ubication")),
            position=position,
            raw_fields={"clamped": "true"} if is_clamped(moment) else {},
            mapping_version=manifest.mapping_version,
        )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """On the clock of the province, where it is one of Spain's islands. No country is told."""
    zone = zone_of_spanish(event.text("Ubication"), manifest.home_zone)
    if zone.name == manifest.home_zone:
        zone = Zone(zone.name, ZoneSource.ASSUMED)  # it may as well be in Portugal
    return read_moment(event.needed_text("DateTime"), zone, manifest.home_zone, previous)
