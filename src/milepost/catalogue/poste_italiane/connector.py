"""Poste Delivery Business: what to ask, with a token of its sessions."""

from functools import partial

import orjson

from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import client_tokens
from milepost.carriers.platforms.rest_json import RestJson
from milepost.catalogue.poste_italiane.reading import read, reread
from milepost.tracking.parcel import number_key

TOKEN_URL = "https://apiw.gp.posteitaliane.it/gp/internet/user/sessions"  # noqa: S105 - an address
SCOPE = "https://postemarketplace.onmicrosoft.com/d6a78063-5570-4a87-bbd7-07326e6855d1/.default"
WITH_ALL_EVENTS = "N"
"""The answer to "the last state only?"."""


def build(manifest: Manifest) -> Connector:
    """Poste Italiane's connector. It tells an unknown number with 200; a 404 is a proxy's."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        tokens=client_tokens(ask_token),
        reread=partial(reread, manifest),
    )


def ask_token(credential: Credential) -> Request:
    """The question for a token: client credentials in Poste's own words, as JSON."""
    fields = credential.fields
    session = {
        "clientId": fields.get("client_id", ""),
        "secretId": fields.get("client_secret", ""),
        "scope": fields.get("scope", "").strip() or SCOPE,
        "grantType": "client_credentials",
    }
    return _post(TOKEN_URL, session, credential)


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One waybill with all its events. The platform adds the token."""
    waybill = {"waybillNumber": number_key(item.number), "lastTracingState": WITH_ALL_EVENTS}
    question = {
        "arg0": {"shipmentsData": [waybill], "statusDescription": "E", "customerType": "DQ"}
    }
    return _post(manifest.api.base_url if manifest.api else "", question, credential)


def _post(url: str, document: object, credential: Credential) -> Request:
    """A question as JSON; Poste wants the client's id with each."""
    return Request(
        url,
        headers={
            "POSTE_clientID": credential.fields.get("client_id", ""),
            "Content-Type": "application/json",
            "Accept": "application/json",
        },
        method="POST",
        body=orjson.dumps(document),
        remember=False,
    )
