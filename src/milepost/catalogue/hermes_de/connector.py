"""Hermes's HSI: what to ask with a user's token, and what an answer says."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

import pycountry

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.oauth2 import client_tokens, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.rereading import by_code
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan
from milepost.tracking.parcel import number_key

TOKEN_URL = "https://authme.myhermes.de/authorization-facade/oauth2/access_token"  # noqa: S105
UNKNOWN_NUMBER = "e001"


def build(manifest: Manifest) -> Connector:
    """Hermes Germany's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=client_tokens(ask_token),
        reread=by_code(manifest),
    )


def ask_token(credential: Credential) -> Request:
    """The question for a token: a user's and a client's login in one form."""
    fields = credential.fields
    user = {name: fields.get(name, "") for name in ("username", "password")}
    return token_form(
        TOKEN_URL,
        fields.get("client_id", ""),
        fields.get("client_secret", ""),
        {"grant_type": "password", **user},
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number, told in English. The platform adds the token."""
    return Request(
        manifest.api.base_url if manifest.api else "",
        query=(("shipmentID", number_key(item.number)),),
        headers={"Accept": "application/json", "Accept-Language": "EN"},
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """Hermes's own 404 names its result, as its other answers do."""
    results = [*document.items("listOfResultCodes"), document.child("result"), document]
    if UNKNOWN_NUMBER not in {result.text("code").lower() for result in results}:
        raise CarrierParseError("a 404 that is not Hermes's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Hermes knows about ``item``."""
    wanted = number_key(item.number)
    told = [
        shipment
        for shipment in document.items("shipmentinfo")
        if number_key(shipment.text("shipmentID")) == wanted
    ]
    if not told:
        raise CarrierParseError("no shipment has the number we asked for")
    # Numbers are used again: of several shipments the one with the latest scan is meant.
    scans, shipment = max(
        ((tuple(_scans(manifest, one)), one) for one in told),
        key=lambda pair: pair[0][-1].moment.instant.timestamp() if pair[0] else 0.0,
    )
    result = shipment.text("result", "code").lower()
    if result not in ("", UNKNOWN_NUMBER) and not scans:
        return Broken(f"result {result[:20]}", lane_wide=False)
    if not scans:
        return NotFound()
    return Found(scans=scans, complete=True, estimate=_estimate(manifest, shipment))


def _scans(manifest: Manifest, shipment: Tree) -> Iterator[Scan]:
    """The events from the oldest to the newest."""
    events = list(shipment.items("status", at_most=MOST_EVENTS))
    for position, (moment, event) in enumerate(in_order(events, partial(_moment, manifest))):
        code, text = event.needed_text("code"), event.text("description")
        scan_class, reading = manifest.classify_by_code(code, text)
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=text,
            moment=moment,
            reading=reading,
            place=_place(event.child("scanningUnit")),
            position=position,
            raw_fields={"clamped": "true"} if is_clamped(moment) else {},
            mapping_version=manifest.mapping_version,
        )


def _place(unit: Tree) -> Place:
    return Place(
        city=unit.text("city"),
        country_code=_country(unit.text("countryCode")),
        postal_code=unit.text("zipCode"),
        depot=unit.text("name"),
    )


def _country(told: str) -> str:
    """Two letters. Hermes prints three."""
    country = pycountry.countries.get(alpha_3=told.upper()) if len(told) == 3 else None
    return country.alpha_2 if country else told.upper()[:2]


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    place = _place(event.child("scanningUnit"))
    zone = zone_of(place.country_code, place.postal_code, manifest.home_zone)
    return read_moment(event.needed_text("timestamp"), zone, manifest.home_zone, previous)


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The forecast's day, and its hours on the clock of the receiver."""
    forecast = shipment.child("deliveryForecast")
    told = forecast.text("date")
    if not told:
        return None
    receiver = shipment.child("receiverAddress")
    home = manifest.home_zone
    zone = zone_of(_country(receiver.text("countryCode")), receiver.text("zipCode"), home)
    day = read_moment(told, zone, home).stated.strip()[:10]
    hours = [forecast.text("timeSlot", name) for name in ("from", "to")]
    earliest, latest = (
        read_moment(f"{day}T{hour}", zone, home).instant if hour else None for hour in hours
    )
    return DeliveryEstimate(datetime.fromisoformat(day).date(), earliest, latest)
