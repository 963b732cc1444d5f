"""Correos's Trackpub: what to ask, with a token of CorreosID beside the application's key."""

from functools import partial
from urllib.parse import quote

from milepost.carriers.answer_tree import read_json
from milepost.carriers.connector import Broken, Connector, Credential, Item, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import is_token, read_token, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.tokens import Granted, Tokens
from milepost.catalogue.correos.reading import not_found, read, reread
from milepost.errors import CarrierParseError
from milepost.tracking.parcel import number_key

TOKEN_URL = "https://apioauthcid.correos.es/Api/Authorize/Token"  # noqa: S105 - an address
SCOPE = "TPB"
"""Trackpub's code in CorreosID. With another one there is a token, too, and each question is
refused with 401."""
TOKEN_SECONDS = 1500.0
"""A token is said to last half an hour or more; in which unit it says so is not agreed on."""


def build(manifest: Manifest) -> Connector:
    """Correos's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        reread=partial(reread, manifest),
        tokens=Tokens(ask_token, read_id_token, lambda answer: answer.status in (401, 403)),
    )


def ask_token(credential: Credential) -> Request:
    """The question for a token, all of it as a form."""
    fields = credential.fields
    return token_form(
        TOKEN_URL,
        fields.get("client_id", ""),
        fields.get("client_secret", ""),
        {"scope": fields.get("scope", "").strip() or SCOPE},
    )


def read_id_token(answer: Answer) -> Granted | Refused | Broken:
    """The token, which Correos calls ``idToken``; what else it may answer is as usual."""
    try:
        text = read_json(answer.body).child("idToken").value if answer.status == 200 else None
    except CarrierParseError:
        text = None
    if isinstance(text, str) and is_token(text):
        return Granted(text, TOKEN_SECONDS)
    return read_token(answer)


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One code. The platform adds the token."""
    base = manifest.api.base_url if manifest.api else ""
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}",
        headers={
            "client_id": credential.fields.get("gateway_client_id", ""),
            "client_secret": credential.fields.get("gateway_client_secret", ""),
            "Accept": "application/json",
        },
    )
