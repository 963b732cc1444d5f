"""TIPSA's DinaPaq web services: what to ask, in a session of a customer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    Outcome,
    Refused,
)
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import is_token
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.soap_session import session_tokens
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, body_of, element, envelope
from milepost.carriers.tokens import Granted
from milepost.carriers.xml_tree import XmlTree, read_xml
from milepost.catalogue.tipsa.incidences import explained, has_incidences
from milepost.catalogue.tipsa.reading import is_lost_session, read, read_fault, reread
from milepost.errors import CarrierParseError, CarrierUnreachable
from milepost.tracking.parcel import number_key

NAMESPACE = "http://tempuri.org/"
WRONG_LOGIN = ("1:", "2:", "4:")
"""How its texts begin about a wrong password, no right to the services, a customer who left."""
BLOCKED, BLOCKED_SECONDS = "3:", 600.0
SESSION_SECONDS = 600.0
"""TIPSA does not say how long a session lasts; one that it has lost is replaced."""


@dataclass(frozen=True)
class Tipsa(SoapXml):
    """Asks a second time about a parcel with incidences: its states do not say what they are."""

    ask_incidences: Callable[[Item, Credential, str], Request] | None = None
    explained: Callable[[Found, XmlTree], Found] | None = None

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        """Ask one by one, in two questions where it takes them."""
        outcomes = dict(await SoapXml.ask(self, items, credential, carrier))
        for item, told in outcomes.items():
            if isinstance(told, Found) and has_incidences(told):
                outcomes[item] = await self._explained(item, told, credential, carrier)
        return outcomes

    async def _explained(
        self, item: Item, told: Found, credential: Credential, carrier: Asks
    ) -> Found:
        """``told`` with its incidences explained; as it is where nothing explains them now."""
        make, explain, tokens = self.ask_incidences, self.explained, self.tokens
        if make is None or explain is None or tokens is None:
            return told
        try:
            answer = await tokens.fetch(
                carrier, credential, lambda session: make(item, credential, session)
            )
            if not isinstance(answer, Answer) or answer.status != 200:
                return told
            body = body_of(answer)
            if isinstance(body, Fault):
                return told
            # Two documents are no document: a list of both, in the order they were asked for.
            both = [one.decode("utf-8", "replace") for one in (told.raw, answer.body)]
            whole = explain(told, body)
            return replace(whole, raw=orjson.dumps(both), raw_type="application/json")
        except (CarrierUnreachable, CarrierParseError):
            return told


def build(manifest: Manifest) -> Connector:
    """TIPSA's connector."""
    return Tipsa(
        request=partial(request, manifest, "ConsEnvEstados"),
        read=partial(read, manifest),
        fault=read_fault,
        reread=partial(reread, manifest),
        tokens=session_tokens(
            partial(ask_session, manifest), read_session, no_session, is_lost_session
        ),
        ask_incidences=partial(request, manifest, "ConsEnvIncidencias"),
        explained=partial(explained, manifest),
    )


def ask_session(manifest: Manifest, credential: Credential) -> Request:
    """The login of a customer."""
    login = {
        "strCodAge": credential.fields.get("agency", ""),
        "strCod": credential.fields.get("customer", ""),
        "strPass": credential.fields.get("password", ""),
    }
    return _question(manifest, "LoginWSService", "LoginCli2", login)


def read_session(told: XmlTree) -> Granted | Refused | Broken:
    """The session of a login."""
    session = told.text("strSesion")
    if told.text("Result").lower() == "true" and is_token(session):
        return Granted(session, SESSION_SECONDS)
    if told.text("strError"):
        return credential_refused("no session: the login was refused")
    return Broken("no session: the answer holds none")


def no_session(fault: Fault, answer: Answer) -> Refused | Broken:
    """What a fault of the login means: TIPSA's own texts begin with a number."""
    why = f"no session: {fault.code or 'a fault'}"
    text = read_xml(answer.body).child("Body", "Fault").text("faultstring")
    if text.startswith(WRONG_LOGIN):
        return credential_refused(why)
    if text.startswith(BLOCKED):
        return Refused(BLOCKED_SECONDS, "no session: TIPSA has blocked our address for a while")
    return Broken(why)


def request(
    manifest: Manifest, method: str, item: Item, credential: Credential, session: str
) -> Request:
    """A question about one waybill. A long number has its two agencies in front."""
    number, agency = number_key(item.number), credential.fields.get("agency", "")
    long = len(number) == 22 and number.isdecimal()
    question = {
        "strCodAgeCargo": number[:6] if long else agency,
        "strCodAgeOri": number[6:12] if long else agency,
        "strAlbaran": number[12:] if long else number,
    }
    return _question(manifest, "WebServService", method, question, session)


def _question(
    manifest: Manifest, service: str, method: str, content: dict[str, str], session: str = ""
) -> Request:
    base = manifest.api.base_url if manifest.api else ""
    return envelope(
        f"{base}?service={service}",
        f"urn:DinaPaq-{service}#{method}",
        element(f"{service}___{method}", content, NAMESPACE, qualified=True),
        element("ROClientIDHeader", {"ID": session} if session else "", NAMESPACE, qualified=True),
    )
