"""SEUR's tracking: what to ask with a token of its password login, and what an answer says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from urllib.parse import urljoin

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
)
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.oauth2 import client_tokens, token_form
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.zones import Zone
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Scan, ZoneSource
from milepost.tracking.parcel import number_key

NO_CONTENT = 204
"""SEUR's answer about a number it has nothing to tell of, yet or at all."""
PIECE_DIGITS = 14
COLLECTION = "Rec"
"""An entry about the collection of several parcels, none of which is meant alone."""


@dataclass(frozen=True, slots=True)
class _Pic(RestJson):
    """SEUR's interface, which says with a status and no body that it has nothing to tell."""

    def no_document(self, answer: Answer) -> Outcome:
        """An empty 200 says nothing of any parcel."""
        nothing = answer.status == NO_CONTENT and not answer.body.strip()
        return NotFound() if nothing else RestJson.no_document(self, answer)


def build(manifest: Manifest) -> Connector:
    """SEUR's connector. What a 404 means is not documented: it is a fault."""
    return _Pic(
        request=partial(request, manifest),
        read=partial(read, manifest),
        tokens=client_tokens(partial(ask_token, manifest)),
        read_statuses=frozenset({200, NO_CONTENT}),
    )


def ask_token(manifest: Manifest, credential: Credential) -> Request:
    """The question for a token, with user and password."""
    fields = credential.fields
    return token_form(
        urljoin(_base(manifest), "/pic_token"),
        fields.get("client_id", ""),
        fields.get("client_secret", ""),
        {
            "grant_type": "password",
            "username": fields.get("username", ""),
            "password": fields.get("password", ""),
        },
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number with all its situations, among the shipments of one customer."""
    fields, number = credential.fields, number_key(item.number)
    query = {
        "ref": number,
        "refType": _kind(number),
        "idNumber": fields.get("id_number", ""),
        # An account is written with its business unit behind a dash; asked with, it has none.
        "accountNumber": fields.get("account_number", "").partition("-")[0],
        "businessUnit": fields.get("business_unit", ""),
    }
    return Request(
        f"{_base(manifest)}/extended",
        query=tuple((name, told) for name, told in query.items() if told),
        headers={"Accept": "application/json"},
    )


def _kind(number: str) -> str:
    """A piece has SEUR's own number or that of DPD's network, which begins with its depot."""
    if not (number.isdigit() and len(number) == PIECE_DIGITS):
        return "REFERENCE"
    return "PARCEL_NUMBER" if number.startswith("0") else "ECB"


def _base(manifest: Manifest) -> str:
    return manifest.api.base_url if manifest.api else ""


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What SEUR knows about ``item``."""
    for error in document.items("errors"):
        return _refused(error)
    if document.child("data").value is None:
        raise CarrierParseError("the answer tells neither of shipments nor of errors")
    entries = [
        entry
        for entry in document.items("data")
        if entry.text("type") != COLLECTION and _at(entry, item)
    ]
    if len({number_key(entry.text("postalCode")) for entry in entries} - {""}) > 1:
        raise CarrierParseError("shipments to several places for the number we asked for")
    pieces = {number for entry in entries for number in _pieces(entry)}
    wanted = number_key(item.number)
    if _kind(wanted) != "REFERENCE" and pieces and wanted not in pieces:
        raise CarrierParseError("another piece than the one we asked for")
    scans = tuple(_scans(manifest, entries))
    return Found(scans=scans, complete=True) if scans else NotFound()


def _refused(error: Tree) -> Outcome:
    status = error.text("status") or "no status"
    if status in ("401", "403"):
        return credential_refused(f"SEUR refused the credential with {status}")
    return Broken(f"SEUR's error: {status}", lane_wide=False)


def _at(entry: Tree, item: Item) -> bool:
    """Whether an entry goes where the parcel goes, as far as both are known.

    References are the customers' own: another customer's shipment may have the same.
    """
    told, wanted = number_key(entry.text("postalCode")), number_key(item.postal_code)
    return not (told and wanted) or told == wanted


def _pieces(entry: Tree) -> Iterator[str]:
    for pack in entry.items("packs"):
        for name in ("ecb", "parcelNumber"):
            if pack.text(name):
                yield number_key(pack.text(name))


def _scans(manifest: Manifest, entries: list[Tree]) -> Iterator[Scan]:
    """The situations from the oldest to the newest; entries of one shipment repeat some."""
    told = {
        (event.needed_text("eventCode"), event.needed_text("situationDate")): event
        for entry in entries
        for event in entry.items("situations", at_most=MOST_EVENTS)
    }
    if len(told) > MOST_EVENTS:
        raise CarrierParseError(f"more than {MOST_EVENTS} situations")
    timed = in_order(list(told.values()), partial(_moment, manifest))
    for position, (moment, event) in enumerate(timed):
        code = event.text("eventCode")
        scan_class, reading = manifest.classify(code)
        yield Scan(
            scan_class=scan_class,
            raw_code=code,
            raw_text=event.text("description"),
            moment=moment,
            reading=reading,
            position=position,
            raw_fields={"clamped": "true"} if is_clamped(moment) else {},
            mapping_version=manifest.mapping_version,
        )


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    """A time without a zone, and no place is told with it."""
    zone = Zone(manifest.home_zone, ZoneSource.ASSUMED)
    return read_moment(event.needed_text("situationDate"), zone, manifest.home_zone, previous)
