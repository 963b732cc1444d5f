"""Amazon Shipping's getTracking: what to ask, with a token of Login with Amazon."""

from dataclasses import replace
from functools import partial

from milepost.carriers.connector import Connector, Credential, Item
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.manifest import Manifest
from milepost.carriers.oauth2 import read_token, token_form
from milepost.carriers.platforms.rest_json import RestJson
from milepost.carriers.tokens import Tokens
from milepost.catalogue.amazon.reading import not_found, read, reread
from milepost.tracking.parcel import number_key

TOKEN_URL = "https://api.amazon.com/auth/o2/token"  # noqa: S105 - an address
REGIONS = ("eu", "na", "fe")
EUROPE = "-eu."


def build(manifest: Manifest) -> Connector:
    """Amazon Shipping's connector."""
    return RestJson(
        request=partial(request, manifest),
        read=partial(read, manifest),
        not_found=not_found,
        tokens=Tokens(ask_token, read_token, refuses_token),
        carrying=carrying,
        reread=partial(reread, manifest),
        # A number that is none is told as a request that is invalid.
        unknown_statuses=frozenset({400, 404}),
    )


def ask_token(credential: Credential) -> Request:
    """The question for an access token, with the seller's refresh token."""
    fields = credential.fields
    refresh = {
        "grant_type": "refresh_token",
        "refresh_token": fields.get("refresh_token", ""),
    }
    return token_form(
        TOKEN_URL, fields.get("client_id", ""), fields.get("client_secret", ""), refresh
    )


def refuses_token(answer: Answer) -> bool:
    """Amazon answers 403 to a token that ran out, as to a seller who may not ask."""
    return answer.status in (401, 403)


def carrying(request: Request, token: str) -> Request:
    """The token in a header of Amazon's own."""
    return replace(request, headers={**request.headers, "x-amz-access-token": token})


def request(manifest: Manifest, item: Item, credential: Credential) -> Request:
    """One number of one of Amazon's carriers, in the region of the seller's account."""
    base = manifest.api.base_url if manifest.api else ""
    fields = credential.fields
    region = fields.get("region", "").strip().lower()
    if region in REGIONS:
        base = base.replace(EUROPE, f"-{region}.")
    business = fields.get("business_id", "")
    headers = {"x-amzn-shipping-business-id": business} if business else {}
    return Request(
        base,
        query=(
            ("trackingId", number_key(item.number)),
            ("carrierId", fields.get("carrier_id", "")),
        ),
        headers={**headers, "Accept": "application/json"},
    )
