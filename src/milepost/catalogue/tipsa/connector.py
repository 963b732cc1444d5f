"""TIPSA's DinaPaq web services: what to ask, in a session of a customer."""

from functools import partial

from milepost.carriers.connector import Broken, Connector, Credential, Item, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import is_token
from milepost.carriers.platforms.refusals import credential_refused, refusal_of
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, body_of, element, envelope
from milepost.carriers.tokens import Granted, Tokens
from milepost.carriers.xml_tree import read_xml
from milepost.catalogue.tipsa.reading import is_lost_session, read, read_fault
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key

NAMESPACE = "http://tempuri.org/"
WRONG_LOGIN = "1:"
SESSION_SECONDS = 600.0
"""TIPSA does not say how long a session lasts; one that it has lost is replaced."""


def build(manifest: Manifest) -> Connector:
    """TIPSA's connector."""
    return SoapXml(
        request=partial(request, manifest),
        read=partial(read, manifest),
        fault=read_fault,
        tokens=Tokens(partial(ask_session, manifest), read_session, refuses_session),
    )


def ask_session(manifest: Manifest, credential: Credential) -> Request:
    """The login of a customer."""
    login = {
        "strCodAge": credential.fields.get("agency", ""),
        "strCod": credential.fields.get("customer", ""),
        "strPass": credential.fields.get("password", ""),
    }
    return _question(manifest, "LoginWSService", "LoginCli2", login)


def read_session(answer: Answer) -> Granted | Refused | Broken:
    """The session of a login, or why there is none."""
    if answer.status not in (200, 500):
        return refusal_of(answer)
    try:
        told = body_of(answer)
    except CarrierParseError as error:
        return Broken(f"no session: {error}")
    if isinstance(told, Fault):
        why = f"no session: {told.code or 'a fault'}"
        return credential_refused(why) if _names_the_login(answer) else Broken(why)
    session = told.text("strSesion")
    if told.text("Result").lower() == "true" and is_token(session):
        return Granted(session, SESSION_SECONDS)
    if told.text("strError"):
        return credential_refused("no session: the login was refused")
    return Broken("no session: the answer holds none")


def _names_the_login(answer: Answer) -> bool:
    """TIPSA's own errors begin with a number; the first is a wrong customer or password."""
    text = read_xml(answer.body).child("Body", "Fault").text("faultstring")
    return text.startswith(WRONG_LOGIN)


def refuses_session(answer: Answer) -> bool:
    """Whether an answer to a question does not know the session it came with."""
    if answer.status not in (200, 500):
        return False
    try:
        told = body_of(answer)
    except CarrierParseError:
        return False
    return isinstance(told, Fault) and is_lost_session(told)


def request(manifest: Manifest, item: Item, credential: Credential, session: str) -> Request:
    """One waybill. A long number has its two agencies in front."""
    number, agency = number_key(item.number), credential.fields.get("agency", "")
    long = len(number) == 22 and number.isdecimal()
    question = {
        "strCodAgeCargo": number[:6] if long else agency,
        "strCodAgeOri": number[6:12] if long else agency,
        "strAlbaran": number[12:] if long else number,
    }
    return _question(manifest, "WebServService", "ConsEnvEstados", question, session)


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
