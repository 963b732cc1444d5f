"""UPS's Track API: what to ask, with a token of its own."""

from functools import partial
from urllib.parse import quote
from uuid import uuid4

from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import client_tokens, token_request
from milepost.carriers.platforms.rest_json import RestJson
from milepost.catalogue.ups.reading import not_found, read, reread
from milepost.tracking.parcel import number_key

TOKEN_URL = "https://onlinetools.ups.com/security/v1/oauth/token"  # noqa: S105 - an address
# An unreadable number is refused with 400, in UPS's own words.
UNKNOWN = frozenset({400, 404})


def build(manifest: Manifest) -> Connector:
    """UPS's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=client_tokens(ask_token),
        unknown_statuses=UNKNOWN,
        reread=partial(reread, manifest),
    )


def ask_token(credential: Credential) -> Request:
    """The question for an access token."""
    fields = credential.fields
    return token_request(TOKEN_URL, fields.get("client_id", ""), fields.get("client_secret", ""))


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number, in English. UPS wants an id for every question."""
    base = manifest.api.base_url if manifest.api else ""
    return Request(
        f"{base}/{quote(number_key(item.number), safe='')}",
        query=(("locale", "en_US"), ("returnSignature", "false")),
        headers={
            "transId": uuid4().hex,
            "transactionSrc": "milepost",
            "Accept": "application/json",
        },
        remember=False,
    )
