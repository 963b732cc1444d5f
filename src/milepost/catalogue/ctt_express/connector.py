"""CTT Express's Get Shipping Tracking: what to ask with a token, and what an answer says.

The document is given to customers and no answer has been seen here: the form is what public
programs of customers read, one of them by the document's example.
"""

import re
from datetime import date, datetime
from functools import partial
from urllib.parse import quote

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
    related,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.oauth2 import client_tokens, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.status_rules import fold
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Scan, Wording, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase, Reading

TOKEN_PATH = "/integrations/oauth2/token"  # noqa: S105 - an address
SCOPE = "urn:com:ctt-express:integration-clients:scopes:common/ALL"
HISTORY_PATH = "/integrations/trf/item-history-api/history"
SHIPMENT_DIGITS = 22
"""What follows them on a label is the package's place in its shipment."""
_UNKNOWN = re.compile(r"not[ _]?found|no se (ha )?encontr|no existe")


def build(manifest: Manifest) -> Connector:
    """CTT Express's connector. An answer comes with 201 by its document, with 200 by programs."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=client_tokens(partial(ask_token, manifest)),
        read_statuses=frozenset({200, 201}),
        reread=partial(reread, manifest),
    )


def ask_token(manifest: Manifest, credential: Credential) -> Request:
    """The question for an access token, which lasts a day."""
    fields = credential.fields
    login = fields.get("client_id", ""), fields.get("client_secret", "")
    return token_form(f"{_base(manifest)}{TOKEN_PATH}", *login, {"scope": SCOPE})


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One shipment with all its events. The platform adds the token."""
    number = quote(_shipment_number(item), safe="")
    return Request(
        f"{_base(manifest)}{HISTORY_PATH}/{number}",
        query=(("view", "APITRACK"), ("showItems", "false")),
        headers={"Accept": "application/json"},
    )


def _base(manifest: Manifest) -> str:
    return manifest.api.base_url if manifest.api else ""


def _shipment_number(item: Item) -> str:
    number = number_key(item.number)
    return number[:SHIPMENT_DIGITS] if number.isdecimal() else number


def not_found(document: Tree, item: Item) -> Outcome:
    """A 404 is CTT Express's own where it has the form of its answers."""
    if not isinstance(document.value, dict) or not document.value.keys() & {"data", "error"}:
        raise CarrierParseError("a 404 that is not CTT Express's own")
    return NotFound()


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What CTT Express knows about ``item``."""
    error, shipment = document.child("error"), document.child("data")
    if error.value:
        if _UNKNOWN.search(fold(error.as_json().decode())):
            return NotFound()
        # The text may quote what was asked.
        return Broken("CTT Express tells an error in words nobody knows", lane_wide=False)
    if shipment.value is None:
        raise CarrierParseError("the answer tells neither of a shipment nor of an error")
    number = number_key(shipment.text("shipping_code"))
    if number not in ("", _shipment_number(item)):
        raise CarrierParseError("a shipment with another number than the one we asked for")
    events = [
        event
        for history in shipment.items("shipping_history")
        for event in history.items("events", at_most=MOST_EVENTS)
    ]
    if not events:
        return NotFound()
    if len(events) > MOST_EVENTS:
        raise CarrierParseError(f"the shipment has more than {MOST_EVENTS} events")
    timed = in_order(events, partial(_moment, manifest))
    scans = tuple(
        _scan(manifest, event, moment, position) for position, (moment, event) in enumerate(timed)
    )
    arrived = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    return Found(
        scans=scans,
        complete=True,
        estimate=None if arrived else _estimate(manifest, shipment),
        signed_by=_signer(scans, [event for _, event in timed]),
        related_numbers=related("return", [_told(shipment, "return_shipment_code")], number),
    )


def _scan(manifest: Manifest, event: Tree, moment: Moment, position: int) -> Scan:
    code, words = event.text("code"), event.text("description")
    detail = event.child("detail")
    incident = _told(detail, "incident_type_desc") or _told(detail, "incident_type_name")
    scan_class, reading = manifest.classify(code, words)
    fields = {
        "type": event.text("type"),
        "incident_code": _told(detail, "incident_type_code"),
        "incident": incident,
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=f"{words}: {incident}" if words and incident else words or incident,
        moment=moment,
        reading=reading,
        # No event says where it was: the provinces beside it are those of the whole way.
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    incident = told.raw_fields.get("incident", "")
    words = told.raw_text.removesuffix(incident).removesuffix(": ") if incident else told.raw_text
    return manifest.classify(told.raw_code, words)[1]


def _signer(scans: tuple[Scan, ...], events: list[Tree]) -> str:
    """Who took it, by the newest event that delivers."""
    for scan, event in zip(reversed(scans), reversed(events), strict=True):
        if scan.reading.phase is Phase.DELIVERED:
            return _told(event.child("detail"), "signee_name")
    return ""


def _told(detail: Tree, name: str) -> str:
    """A detail; CTT Express writes null as a word, too."""
    text = detail.text(name)
    return "" if text.casefold() in ("null", "undefined") else text


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """With the offset that is told, else on the clock of the mainland."""
    home = manifest.home_zone
    zone = Zone(home, ZoneSource.ASSUMED)
    return read_moment(event.needed_text("event_date"), zone, home, previous)


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The day CTT Express has committed itself to; its hour is the day's end."""
    stated = _told(shipment, "committed_delivery_datetime")
    if not stated:
        return None
    home = manifest.home_zone
    told = read_moment(stated, Zone(home, ZoneSource.ASSUMED), home).stated.strip()
    return DeliveryEstimate(day=date.fromisoformat(told[:10]))
