"""DPD's ParcelLifeCycleService: what to ask, with a token of its LoginService."""

from functools import partial

from milepost.carriers.connector import Broken, Connector, Credential, Item, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.refusals import credential_refused
from milepost.carriers.platforms.soap_session import session_tokens
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, element, envelope
from milepost.carriers.tokens import Granted
from milepost.carriers.xml_tree import XmlTree
from milepost.catalogue.dpd.reading import is_refusal, read, read_fault
from milepost.tracking.parcel import number_key

TYPES = "http://dpd.com/common/service/types"
LANGUAGE = "en_EN"
TOKEN_SECONDS = 12 * 3600.0
"""DPD says a token is good for a day; half of it is plenty."""
# The answer is read on the clock of each place, so the Belgian service reads like the Dutch one.
_BELGIAN = (".nl/", ".be/")


def build(manifest: Manifest) -> Connector:
    """DPD's connector."""
    return SoapXml(
        request=partial(request, manifest),
        read=partial(read, manifest),
        fault=read_fault,
        tokens=session_tokens(partial(ask_token, manifest), read_token, no_token, is_refusal),
    )


def ask_token(manifest: Manifest, credential: Credential) -> Request:
    """The login. DPD limits how often it may be asked for, so its token is kept."""
    login = {
        "delisId": credential.fields.get("delis_id", ""),
        "password": credential.fields.get("password", ""),
        "messageLanguage": LANGUAGE,
    }
    return envelope(
        _service(manifest, credential, "LoginService"),
        f"{TYPES}/LoginService/2.0/getAuth",
        element("getAuth", login, f"{TYPES}/LoginService/2.0"),
    )


def read_token(told: XmlTree) -> Granted | Broken:
    """The token of a login."""
    token = told.text("return", "authToken")
    return Granted(token, TOKEN_SECONDS) if token else Broken("no token: the answer holds none")


def no_token(fault: Fault, _: Answer) -> Refused | Broken:
    """A login has nothing else that could be wrong: DPD's own fault here is about it."""
    why = f"no token: {fault.code}"
    return credential_refused(why) if fault.detail else Broken(why)


def request(manifest: Manifest, item: Item, credential: Credential, token: str) -> Request:
    """One number. DPD takes the fourteen digits without their check character."""
    login = {
        "delisId": credential.fields.get("delis_id", ""),
        "authToken": token,
        "messageLanguage": LANGUAGE,
    }
    number = number_key(item.number)
    asked = number[:14] if len(number) == 15 and number[:14].isdecimal() else number
    return envelope(
        _service(manifest, credential, "ParcelLifeCycleService"),
        f"{TYPES}/ParcelLifeCycleService/2.0/getTrackingData",
        element(
            "getTrackingData", {"parcelLabelNumber": asked}, f"{TYPES}/ParcelLifeCycleService/2.0"
        ),
        element("authentication", login, f"{TYPES}/Authentication/2.0"),
    )


def _service(manifest: Manifest, credential: Credential, name: str) -> str:
    base = manifest.api.base_url if manifest.api else ""
    if credential.fields.get("country", "").strip().upper() == "BE":
        base = base.replace(*_BELGIAN)
    return f"{base}/{name}/V2_0"
