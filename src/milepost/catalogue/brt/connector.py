"""BRT's tracking by the number of a parcel: what to ask, and how an answer says whether it is one.

No document of it is public and no answer has been seen here: the form is what several public
programs of customers read.
"""

from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    related,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.rereading import by_code
from milepost.catalogue.brt.reading import estimate_of, scans_of
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Phase

UNKNOWN = "-11"
"""No such shipment."""
REFUSED = frozenset({"-7", "-57"})
"""A wrong login, and none."""
UNAVAILABLE = frozenset({"-3"})
"""BRT does not reach its own data. Other codes below zero are about the one question."""
SHIPMENT_DIGITS = 12
"""A shipment's number has as many; a parcel's has more, and no answer repeats it."""


def build(manifest: Manifest) -> Connector:
    """BRT's connector. It tells an unknown number with 200; a 404 is a proxy's."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        reread=by_code(manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One parcel, with the login in two headers."""
    base = manifest.api.base_url if manifest.api else ""
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}",
        headers={
            "userID": credential.fields.get("user_id", ""),
            "password": credential.fields.get("password", ""),
            "Accept": "application/json",
        },
    )


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What BRT knows about ``item``."""
    told = document.child("ttParcelIdResponse")
    code = told.text("executionMessage", "code") or told.needed_text("esito")
    if code.startswith("-"):
        return _refusal(code)
    shipment = told.child("bolla", "dati_spedizione")
    number, shipment_number = number_key(item.number), number_key(shipment.text("spedizione_id"))
    if len(number) == SHIPMENT_DIGITS and shipment_number not in ("", number):
        raise CarrierParseError("a shipment with another number than the one we asked for")
    scans = scans_of(manifest, list(told.items("lista_eventi", at_most=MOST_EVENTS)))
    if not scans:
        return NotFound()
    delivery = told.child("bolla", "dati_consegna")
    arrived = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    partner = number_key(told.text("bolla", "riferimenti", "riferimento_partner_estero"))
    return Found(
        scans=scans,
        complete=True,
        estimate=None if arrived else estimate_of(manifest, delivery),
        signed_by=delivery.text("firmatario_consegna") if arrived else "",
        service=shipment.text("servizio"),
        related_numbers=related("last_mile", [partner], number) if partner.strip("0") else (),
    )


def _refusal(code: str) -> Outcome:
    if code == UNKNOWN:
        return NotFound()
    if code in REFUSED:
        return credential_refused(f"BRT refused the login with {code}")
    return Broken(f"BRT's error {code[:10]}", lane_wide=code in UNAVAILABLE)
