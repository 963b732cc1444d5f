"""FedEx's Track API: what to ask about up to thirty numbers, with a token of its own."""

from collections.abc import Sequence
from functools import partial

import orjson

from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import client_tokens, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.catalogue.fedex.reading import not_found, read, reread
from milepost.tracking.parcel import number_key

TOKEN_URL = "https://apis.fedex.com/oauth/token"  # noqa: S105 - an address
# A question without a number FedEx can take is refused with 400, in its own words.
UNKNOWN = frozenset({400, 404})


def build(manifest: Manifest) -> Connector:
    """FedEx's connector."""
    return RestJson(
        request=lambda item, credential: request(manifest, [item], credential),
        batch=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=client_tokens(ask_token),
        unknown_statuses=UNKNOWN,
        reread=partial(reread, manifest),
    )


def ask_token(credential: Credential) -> Request:
    """The question for an access token."""
    fields = credential.fields
    return token_form(TOKEN_URL, fields.get("client_id", ""), fields.get("client_secret", ""))


def request(manifest: Manifest, items: Sequence[Item], credential: Credential) -> Request:
    """Up to thirty numbers with all their scans, told in English."""
    numbers = [{"trackingNumberInfo": {"trackingNumber": number_key(one.number)}} for one in items]
    return Request(
        manifest.api.base_url if manifest.api else "",
        headers={
            "Content-Type": "application/json",
            "Accept": "application/json",
            "X-locale": "en_US",
        },
        method="POST",
        body=orjson.dumps({"includeDetailedScans": True, "trackingInfo": numbers}),
    )
