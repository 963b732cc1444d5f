"""Access tokens of carriers: asked for by client credentials (RFC 6749, 4.4), kept for a while."""

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlencode

from milepost.carriers.answer_tree import read_json
from milepost.carriers.connector import Broken, Credential, Refused
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.platforms.refusals import credential_refused, refusal_of
from milepost.errors import CarrierParseError, CarrierUnreachable

MOST_TOKENS = 1000
LONGEST_TOKEN = 8192
ASSUMED_SECONDS = 300.0
"""How long a token is believed whose answer does not say."""
LONGEST_SECONDS = 86_400.0
MARGIN_SECONDS = 60.0
"""So long before its end a token is replaced, or a tenth of its life where that is shorter."""
FAILURE_SECONDS = 5.0
"""Who waited for a token that could not be had is told the same, instead of asking again."""
_REFUSALS = frozenset(("invalid_client", "unauthorized_client", "invalid_grant", "access_denied"))


def token_request(
    url: str, client_id: str, client_secret: str, more: Mapping[str, str] | None = None
) -> Request:
    """The usual question for a token: the client in a Basic header, the rest as a form."""
    # As carriers document it: not percent-encoded, as the RFC would have it.
    pair = f"{client_id}:{client_secret}"
    return Request(
        url,
        headers={
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        method="POST",
        body=urlencode({"grant_type": "client_credentials", **(more or {})}).encode(),
        remember=False,
    )


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    good_until: float


@dataclass(frozen=True, slots=True)
class _Failure:
    outcome: Refused | Broken
    good_until: float


class Tokens:
    """The tokens of one carrier, one per credential; its connector has one of these.

    ``ask`` makes the question for a token. Token requests take slots like any other.
    """

    def __init__(
        self, ask: Callable[[Credential], Request], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` gives seconds that never run backwards."""
        self._ask = ask
        self._clock = clock
        self._known: OrderedDict[bytes, _Token | _Failure] = OrderedDict()
        self._asking: dict[bytes, asyncio.Lock] = {}

    async def fetch(
        self, carrier: Asks, credential: Credential, request: Callable[[str], Request]
    ) -> Answer | Refused | Broken:
        """The answer to ``request(token)``, or why there is no token.

        Where a token that was kept is refused (401), a new one is asked for once. Raises what
        ``carrier`` does.
        """
        key = _key(credential)
        known = self._living(key)
        kept = known if isinstance(known, _Token) else None
        token = kept or await self._token(key, carrier, credential)
        if not isinstance(token, _Token):
            return token.outcome
        answer = await carrier.fetch(request(token.text))
        if answer.status != 401:
            return answer
        if self._known.get(key) is token:
            # Whoever asks next gets a new one, whatever becomes of us.
            del self._known[key]
        if kept is None:
            return answer
        token = await self._token(key, carrier, credential)
        if not isinstance(token, _Token):
            return token.outcome
        return await carrier.fetch(request(token.text))

    async def _token(
        self, key: bytes, carrier: Asks, credential: Credential
    ) -> "_Token | _Failure":
        """The kept one, else a new one that all who wait share."""
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                known = self._living(key)
                if known is not None:
                    return known
                got = await self._new(carrier, credential)
                self._keep(key, got)
                return got
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    async def _new(self, carrier: Asks, credential: Credential) -> "_Token | _Failure":
        asked_at = self._clock()
        try:
            answer = await carrier.fetch(self._ask(credential))
        except CarrierUnreachable as error:
            return self._failed(Broken(f"no token: {error}"))
        said, text, lifetime = _read(answer)
        if answer.status == 400 and said in _REFUSALS:
            return self._failed(credential_refused(f"no token: {said}"))
        if answer.status in (400, 422):
            return self._failed(Broken(f"no token: answered {answer.status}"))
        if answer.status != 200:
            return self._failed(refusal_of(answer))
        if not _is_token(text):
            return self._failed(Broken("no token: the answer holds none"))
        seconds = _seconds(lifetime)
        return _Token(str(text), asked_at + seconds - min(MARGIN_SECONDS, seconds / 10))

    def _failed(self, outcome: Refused | Broken) -> _Failure:
        return _Failure(outcome, self._clock() + FAILURE_SECONDS)

    def _living(self, key: bytes) -> "_Token | _Failure | None":
        known = self._known.get(key)
        if known is None or known.good_until <= self._clock():
            return None
        self._known.move_to_end(key)
        return known

    def _keep(self, key: bytes, got: "_Token | _Failure") -> None:
        self._known[key] = got
        while len(self._known) > MOST_TOKENS:
            self._known.popitem(last=False)


def _key(credential: Credential) -> bytes:
    """A login that was replaced has another token; the key tells nothing of it."""
    told = (credential.owner, sorted(credential.fields.items()))
    return sha256(repr(told).encode()).digest()


def _read(answer: Answer) -> tuple[str, object, str]:
    """Error, token and lifetime; nothing of each where the answer has no such form."""
    try:
        document = read_json(answer.body)
        token = document.child("access_token").value
        return document.text("error"), token, document.text("expires_in")
    except CarrierParseError:
        return "", None, ""


def _is_token(text: object) -> bool:
    # It goes into a header: nothing in it may end one.
    return (
        isinstance(text, str)
        and 0 < len(text) <= LONGEST_TOKEN
        and text.isascii()
        and text.isprintable()
        and " " not in text
    )


def _seconds(stated: str) -> float:
    seconds = float(stated[:10]) if stated.isascii() and stated.isdigit() else ASSUMED_SECONDS
    return min(max(seconds, 1.0), LONGEST_SECONDS)
