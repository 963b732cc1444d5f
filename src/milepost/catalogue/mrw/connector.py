"""MRW's TrackingServices: what to ask, and how an answer says whether it is one.

The manual is given to customers and no answer has been seen here: the form is what several public
programs of customers read.
"""

import re
from functools import partial

from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
)
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, element, envelope
from milepost.carriers.status_rules import fold
from milepost.carriers.xml_tree import XmlTree
from milepost.catalogue.mrw.reading import scans_of, signer_of
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key

NAMESPACE = "http://tempuri.org/"
ACTION = f"{NAMESPACE}ITrackingService/GetEnvios"
METHOD = "GetEnvios"
SPANISH, BY_NUMBER, ALL_STATES = "3082", "0", "1"
UNKNOWN = "no se encontraron resultados"
# MRW's words about a wrong login are in no public program; these are assumed.
_LOGIN = re.compile(
    r"(usuario|login|contrase|password|clave).*(incorrect|inv[aá]lid|no v[aá]lid|err[oó]ne)"
)


def build(manifest: Manifest) -> Connector:
    """MRW's connector."""
    return SoapXml(
        request=partial(request, manifest), read=partial(read, manifest), fault=read_fault
    )


def request(manifest: Manifest, item: Item, credential: Credential, token: str) -> Request:
    """One number with all its states. The parts are in the order in which the service reads them,
    empty ones included."""
    number, fields = number_key(item.number), credential.fields
    asked = {
        "login": fields.get("login", ""),
        "pass": fields.get("password", ""),
        "codigoIdioma": SPANISH,
        "tipoFiltro": BY_NUMBER,
        "valorFiltroDesde": number,
        "valorFiltroHasta": number,
        "fechaDesde": "",
        "fechaHasta": "",
        "tipoInformacion": ALL_STATES,
    }
    contract = {
        "codigoAbonado": fields.get("subscriber", ""),
        "codigoFranquicia": fields.get("franchise", ""),
    }
    asked |= {name: told for name, told in contract.items() if told}
    base = manifest.api.base_url if manifest.api else ""
    return envelope(base, ACTION, element(METHOD, asked, NAMESPACE, qualified=True))


def read_fault(fault: Fault, item: Item) -> Outcome:
    """A fault is the service's: what is wrong with a question is told in its message instead."""
    return Broken(f"MRW's fault: {fault.code or 'no code'}")


def read(manifest: Manifest, body: XmlTree, item: Item) -> Outcome:
    """What MRW knows about ``item``."""
    if body.name != f"{METHOD}Response":
        raise CarrierParseError(f"{body.path} is not an answer about shipments")
    told = body.child(f"{METHOD}Result")
    states = _states(told)
    if not states:
        return _without_states(fold(told.text("MensajeSeguimiento")))
    number = number_key(item.number)
    ours = [one for one in states if number_key(one.text("NumAlbaran")) in ("", number)]
    if not ours:
        raise CarrierParseError("no shipment has the number we asked for")
    return Found(
        scans=scans_of(manifest, ours),
        complete=True,
        signed_by=signer_of(manifest, ours),
        raw_type="text/xml",
    )


def _states(told: XmlTree) -> list[XmlTree]:
    """The states; MRW's own module for shops has met them at three depths."""
    nested = [
        state
        for subscriber in told.items("Seguimiento", "Abonado")
        for state in subscriber.items("SeguimientoAbonado", "Seguimiento")
    ]
    flat = nested or [*told.items("Seguimiento", "Seguimiento"), told.child("Seguimiento")]
    return [state for state in flat if state.text("Estado") or state.text("EstadoDescripcion")]


def _without_states(message: str) -> Outcome:
    if not message or message.startswith(UNKNOWN):
        return NotFound()
    if _LOGIN.search(message):
        return credential_refused("MRW refused the login")
    # The text may quote what was asked.
    return Broken("MRW tells nothing, in words nobody knows", lane_wide=False)
