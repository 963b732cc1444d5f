"""Mondial Relay's WSI2_TracingColisDetaille: what to ask, signed, and what a fault means."""

from functools import partial
from hashlib import md5

from milepost.carriers.connector import Broken, Connector, Credential, Item, Outcome
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.soap_xml import Fault, SoapXml, element, envelope
from milepost.catalogue.mondial_relay.reading import read, reread
from milepost.tracking.parcel import number_key

NAMESPACE = "http://www.mondialrelay.fr/webservice/"
METHOD = "WSI2_TracingColisDetaille"
LANGUAGE = "FR"
"""The only language whose wordings are known."""


def build(manifest: Manifest) -> Connector:
    """Mondial Relay's connector."""
    return SoapXml(
        request=partial(request, manifest),
        read=partial(read, manifest),
        fault=read_fault,
        reread=partial(reread, manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential, token: str) -> Request:
    """One number with all its events, signed with the shop's key."""
    fields = credential.fields
    asked = {
        "Enseigne": fields.get("brand_id", ""),
        "Expedition": number_key(item.number),
        "Langue": LANGUAGE,
    }
    asked["Security"] = signature(asked, fields.get("private_key", ""))
    base = manifest.api.base_url if manifest.api else ""
    return envelope(base, f"{NAMESPACE}{METHOD}", element(METHOD, asked, NAMESPACE, qualified=True))


def signature(asked: dict[str, str], private_key: str) -> str:
    """The MD5 of all that is asked, in its order, and the key. Mondial Relay knows no other."""
    told = "".join((*asked.values(), private_key))
    return md5(told.encode(), usedforsecurity=False).hexdigest().upper()


def read_fault(fault: Fault, item: Item) -> Outcome:
    """A fault is the service's: what is wrong with a question is told in its state instead."""
    return Broken(f"Mondial Relay's fault: {fault.code or 'no code'}")
