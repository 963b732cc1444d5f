"""DHL Paket's tracking: an XML document in the query, about several numbers at a time."""

from collections.abc import Mapping, Sequence
from functools import partial
from xml.sax.saxutils import quoteattr

from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.platforms.rest_xml import RestXml
from milepost.catalogue.dhl_de.reading import not_found, read, reread
from milepost.tracking.parcel import number_key


def build(manifest: Manifest) -> Connector:
    """DHL Paket's connector."""
    return RestXml(
        request=lambda item, credential: request(manifest, [item], credential),
        batch=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        reread=partial(reread, manifest),
    )


def request(manifest: Manifest, items: Sequence[Item], credential: Credential) -> Request:
    """Several numbers with all their events, told in English."""
    fields = credential.fields
    question = {
        "appname": fields.get("user", ""),
        "password": fields.get("password", ""),
        "request": "d-get-piece-detail",
        "language-code": "en",
        "piece-code": ";".join(number_key(item.number).replace(";", "") for item in items),
    }
    return Request(
        manifest.api.base_url if manifest.api else "",
        query=(("xml", _document(question)),),
        headers=_headers(fields),
    )


def _document(attributes: Mapping[str, str]) -> str:
    told = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
    return f'<?xml version="1.0" encoding="UTF-8" standalone="no"?><data {told}/>'


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    key, secret = fields.get("api_key", ""), fields.get("api_secret", "")
    known = {"DHL-API-Key": key, "Accept": "application/xml"}
    return {**known, "Authorization": basic(key, secret)} if secret else known
