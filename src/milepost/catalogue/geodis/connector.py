"""GEODIS's recherche-envoi: what to ask, signed."""

import re
import time
from functools import partial
from hashlib import sha256

import orjson

from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.rest_json import RestJson
from milepost.catalogue.geodis.reading import not_found, read, reread
from milepost.tracking.parcel import number_key

SERVICE = "api/zoomclient/recherche-envoi"
LANGUAGE = "fr"
# GEODIS's own reference; what it prints for people begins with 1G.
_REFERENCE = re.compile(r"\d{10}", re.ASCII)


def build(manifest: Manifest) -> Connector:
    """GEODIS's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        reread=partial(reread, manifest),
    )


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One shipment, signed with the account's key and the time of asking."""
    base = manifest.api.base_url if manifest.api else ""
    number = number_key(item.number)
    name = "refUniExp" if _REFERENCE.fullmatch(number) else "noSuivi"
    body = orjson.dumps({name: number})
    return Request(
        f"{base}/{SERVICE}",
        headers={
            "X-GEODIS-Service": signature(credential, body.decode(), int(time.time() * 1000)),
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
        },
        method="POST",
        body=body,
    )


def signature(credential: Credential, body: str, now: int) -> str:
    """Login, milliseconds, language, and a SHA-256 over those, key, service and body."""
    login, key = (credential.fields.get(name, "") for name in ("login", "api_key"))
    told = ";".join((key, login, str(now), LANGUAGE, SERVICE, body))
    return ";".join((login, str(now), LANGUAGE, sha256(told.encode()).hexdigest()))
