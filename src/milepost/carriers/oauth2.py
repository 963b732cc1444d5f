"""OAuth 2 of carriers: access tokens by client credentials (RFC 6749, 4.4)."""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from milepost.carriers.answer_tree import read_json
from milepost.carriers.basic_auth import basic
from milepost.carriers.connector import Broken, Credential, Refused
from milepost.carriers.exchange import Answer, Request
from milepost.carriers.platforms.refusals import credential_refused, refusal_of
from milepost.carriers.tokens import Granted, Tokens
from milepost.errors import CarrierParseError

LONGEST_TOKEN = 8192
ASSUMED_SECONDS = 300.0
"""How long a token is believed whose answer does not say."""
LONGEST_SECONDS = 86_400.0
_REFUSALS = frozenset(("invalid_client", "unauthorized_client", "invalid_grant", "access_denied"))


def client_tokens(
    ask: Callable[[Credential], Request], clock: Callable[[], float] = time.monotonic
) -> Tokens:
    """The tokens of a carrier that gives them as the RFC has it and answers 401 to a wrong one."""
    return Tokens(ask, read_token, lambda answer: answer.status == 401, clock)


def token_request(
    url: str, client_id: str, client_secret: str, more: Mapping[str, str] | None = None
) -> Request:
    """The usual question for a token: the client in a Basic header, the rest as a form."""
    # As carriers document it: not percent-encoded, as the RFC would have it.
    return Request(
        url,
        headers={
            "Authorization": basic(client_id, client_secret),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        method="POST",
        body=urlencode({"grant_type": "client_credentials", **(more or {})}).encode(),
        remember=False,
    )


def token_form(
    url: str, client_id: str, client_secret: str, more: Mapping[str, str] | None = None
) -> Request:
    """The question for a token of those who want the client in the form, too.

    ``more`` goes into the form, or in the place of what is there.
    """
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        **(more or {}),
    }
    return Request(
        url,
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        method="POST",
        body=urlencode(form).encode(),
        remember=False,
    )


def read_token(answer: Answer) -> Granted | Refused | Broken:
    """The token in an answer, or why there is none."""
    said, text, lifetime = _read(answer)
    if answer.status == 400 and said in _REFUSALS:
        return credential_refused(f"no token: {said}")
    if answer.status in (400, 422):
        return Broken(f"no token: answered {answer.status}")
    if answer.status != 200:
        return refusal_of(answer)
    if not isinstance(text, str) or not is_token(text):
        return Broken("no token: the answer holds none")
    return Granted(text, _seconds(lifetime))


def _read(answer: Answer) -> tuple[str, object, str]:
    """Error, token and lifetime; nothing of each where the answer has no such form."""
    try:
        document = read_json(answer.body)
        token = document.child("access_token").value
        return document.text("error"), token, document.text("expires_in")
    except CarrierParseError:
        return "", None, ""


def is_token(text: str) -> bool:
    """Whether ``text`` can go into a header: nothing in it may end one."""
    return (
        0 < len(text) <= LONGEST_TOKEN and text.isascii() and text.isprintable() and " " not in text
    )


def _seconds(stated: str) -> float:
    seconds = float(stated[:10]) if stated.isascii() and stated.isdigit() else ASSUMED_SECONDS
    return min(max(seconds, 1.0), LONGEST_SECONDS)
