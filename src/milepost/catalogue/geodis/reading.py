"""What an answer of GEODIS's tracking says: pairs of a situation and its justification."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    DeliveryEstimate,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_moment
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.status_rules import fold
from milepost.carriers.zones import Zone, zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import UNREAD, Phase, Reading

# No list of GEODIS's error codes is public: the words of its texts are read instead. The first was
# seen; that the others are about the login is an assumption.
_UNKNOWN = re.compile(r"non trouv|introuvable|aucun envoi|not found")
_LOGIN = re.compile(r"authentif|habilit|identifiant|\bcl(é|ef)\b|\bhash\b|signature|api ?key")
_PLACE = re.compile(r"(?P<city>.*?)\s*\((?P<country>[A-Z]{2})\)", re.ASCII)


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What GEODIS knows about ``item``."""
    if not document.flag("ok"):
        return _refusal(document)
    shipment = document.child("contenu")
    numbers = (shipment.text(name) for name in ("noSuivi", "refUniExp", "noRecepisse"))
    if number_key(item.number) not in set(map(number_key, numbers)):
        raise CarrierParseError("another shipment than the one we asked for")
    events = list(shipment.items("listSuivis", at_most=MOST_EVENTS))
    if not events:
        return NotFound()
    scans = tuple(_scans(manifest, events))
    arrived = any(scan.reading.phase is Phase.DELIVERED for scan in scans)
    return Found(
        scans=scans,
        complete=True,
        estimate=None if arrived else _estimate(manifest, shipment),
        service=shipment.text("prestationCommerciale", "libelle"),
    )


def not_found(document: Tree, item: Item) -> Outcome:
    """A 404 is GEODIS's own only where it says so in its form."""
    if document.value is None or document.child("ok").value is None:
        raise CarrierParseError("a 404 that is not GEODIS's own")
    return _refusal(document)


def _refusal(document: Tree) -> Outcome:
    code = document.text("codeErreur")
    told = fold(f"{code} {document.text('texteErreur')}")
    if _UNKNOWN.search(told):
        return NotFound()
    if _LOGIN.search(told):
        return credential_refused(f"GEODIS refused the login: {code}")
    # The text may quote what was asked; the code does not.
    return Broken(f"GEODIS's error {code or 'without a code'}", lane_wide=False)


def _scans(manifest: Manifest, events: list[Tree]) -> Iterator[Scan]:
    timed = in_order(events, partial(_moment, manifest), newest_first=True)
    for position, (moment, event) in enumerate(timed):
        pair = event.text("codeSituationJustification")
        scan_class, reading = _reading(manifest, pair)
        short = event.text("libelleCourtSuivi")
        label = event.text("libelleSuivi") or short
        fields = {
            "short": short if short != label else "",
            "clamped": "true" if is_clamped(moment) else "",
        }
        yield Scan(
            scan_class=scan_class,
            raw_code=pair,
            raw_text=label,
            moment=moment,
            reading=reading,
            place=_place(event),
            position=position,
            raw_fields={name: text for name, text in fields.items() if text},
            mapping_version=manifest.mapping_version,
        )


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    return _reading(manifest, told.raw_code)[1]


def _reading(manifest: Manifest, pair: str) -> tuple[str, Reading]:
    """What the pair says, or the situation alone where its justification is unknown."""
    scan_class, reading = manifest.classify(pair)
    situation = manifest.by_code.get(pair.partition("/")[0])
    return scan_class, situation.reading if situation and reading == UNREAD else reading


def _place(event: Tree) -> Place:
    told, depot = event.text("libelleCentre"), event.text("codeSa")
    match = _PLACE.fullmatch(told)
    if match:
        return Place(city=match["city"], country_code=match["country"], depot=depot)
    return Place(city="" if told.isdecimal() else told, depot=depot)


def _moment(manifest: Manifest, event: Tree, previous: datetime | None) -> Moment:
    zone = zone_of(_place(event).country_code, "", manifest.home_zone)
    stated = f"{event.needed_text('dateSuivi')} {event.text('heureSuivi')}".strip()
    return read_moment(stated, zone, manifest.home_zone, previous)


def _estimate(manifest: Manifest, shipment: Tree) -> DeliveryEstimate | None:
    """The planned day. Its half (``MAT``) has no hours that are documented."""
    stated = shipment.text("dateLivraisonPrevue")
    if not stated:
        return None
    home = manifest.home_zone
    moment = read_moment(stated, Zone(home, ZoneSource.ASSUMED), home)
    return DeliveryEstimate(day=datetime.fromisoformat(moment.home_minute[:10]).date())
