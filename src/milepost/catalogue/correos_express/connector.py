"""Correos Express's seguimientoEnvio: what to ask, and what an answer says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import orjson

from milepost.carriers.answer_tree import MOST_EVENTS, Tree
from milepost.carriers.basic_auth import basic
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    of_shipment,
)
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import is_clamped, read_printed
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.platforms.rest_xml import RestXml
from milepost.carriers.rereading import Reread
from milepost.carriers.xml_tree import XmlTree
from milepost.carriers.zones import Zone
from milepost.catalogue.correos_express import older
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan, Wording, ZoneSource
from milepost.tracking.parcel import number_key
from milepost.tracking.vocabulary import Reading

FOUND, UNKNOWN_NUMBER = "0", "402"
"""The answer's ``error``: none, and no such shipment."""


def build(manifest: Manifest) -> Connector:
    """Correos Express's connector. It tells an unknown number with 200; a 404 is a proxy's."""

    def read_older(document: XmlTree, item: Item) -> Outcome:
        told = read(manifest, older.in_the_newer_form(document), item)
        return replace(told, raw_type="text/xml") if isinstance(told, Found) else told

    return CorreosExpress(
        RestJson(request=partial(request, manifest), read=partial(read, manifest)),
        RestXml(request=older.request, read=read_older),
        partial(reread, manifest),
    )


@dataclass(frozen=True, slots=True)
class CorreosExpress:
    """The newer service, and the older one for whose login is one for that."""

    newer: RestJson
    older: RestXml
    reread: Reread

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask item by item."""
        platform = self.older if older.is_chosen(credential) else self.newer
        return await platform.ask(items, credential, carrier)

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``, whichever service gave it."""
        platform = self.older if older.is_answer(answer) else self.newer
        return platform.outcome(item, answer)


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number with all its states, told in Spanish."""
    fields = credential.fields
    question = {
        "codigoCliente": fields.get("customer_code", ""),
        "dato": number_key(item.number),
        "idioma": "ES",
    }
    return Request(
        manifest.api.base_url if manifest.api else "",
        headers={
            "Authorization": basic(fields.get("username", ""), fields.get("password", "")),
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        method="POST",
        body=orjson.dumps(question),
    )


def read(manifest: Manifest, document: Tree, item: Item) -> Outcome:
    """What Correos Express knows about ``item``."""
    error = document.needed_text("error")
    if error == UNKNOWN_NUMBER:
        return NotFound()
    if error != FOUND:
        return Broken(f"error {error[:20]}", lane_wide=False)
    number = document.text("numEnvio")
    parcels = [parcel.text("codUnico") for parcel in document.items("bultoSeguimiento")]
    # Not its reference: shops use one more than once.
    if number_key(item.number) not in map(number_key, (number, *parcels)):
        raise CarrierParseError("a shipment with another number than the one we asked for")
    states = list(document.items("estadoEnvios", at_most=MOST_EVENTS))
    scans = tuple(_scans(manifest, document, states))
    if not scans:
        return NotFound()
    return Found(
        scans=scans,
        complete=bool(states),
        service=document.text("producto"),
        related_numbers=of_shipment(number, parcels, item.number),
    )


def _scans(manifest: Manifest, shipment: Tree, states: list[Tree]) -> Iterator[Scan]:
    """The states from the oldest to the newest; the shipment's own one where no other is told."""
    told = states or ([shipment] if shipment.text("fechaEstado") else [])
    for position, (moment, state) in enumerate(in_order(told, partial(_moment, manifest))):
        yield _scan(manifest, state, moment, position)


def _scan(manifest: Manifest, state: Tree, moment: Moment, position: int) -> Scan:
    code, words = state.text("codEstado"), state.text("descEstado")
    incidence = state.text("descIncEstado")
    scan_class, reading = _reading(manifest, code, incidence, words)
    fields = {
        "incidence_code": state.text("codIncEstado"),
        "incidence": incidence,
        "depot_code": state.text("idDelegacion"),
        "clamped": "true" if is_clamped(moment) else "",
    }
    return Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=f"{words}: {incidence}" if words and incidence else words or incidence,
        moment=moment,
        reading=reading,
        place=Place(depot=state.text("nombreDelegacion")),
        position=position,
        raw_fields={name: text for name, text in fields.items() if text},
        mapping_version=manifest.mapping_version,
    )


def _reading(manifest: Manifest, code: str, incidence: str, words: str) -> tuple[str, Reading]:
    return manifest.classify(code, *filter(None, (incidence, words)))


def reread(manifest: Manifest, told: Wording) -> Reading:
    """What a kept event means by these rules."""
    incidence = told.raw_fields.get("incidence", "")
    words = told.raw_text.removesuffix(incidence).removesuffix(": ") if incidence else told.raw_text
    return _reading(manifest, told.raw_code, incidence, words)[1]


def _moment(manifest: Manifest, state: Tree, previous: datetime | None) -> Moment:
    """Day and time as digits alone. No state names a place, so islands go by the home clock too."""
    home = manifest.home_zone
    stated = f"{state.needed_text('fechaEstado')} {state.text('horaEstado')}".strip()
    form = "%d%m%Y %H%M%S" if " " in stated else "%d%m%Y"
    return read_printed(stated, form, Zone(home, ZoneSource.ASSUMED), home, previous)
