"""Carriers' tokens: asked for with a credential, kept for a while, shared by all who need them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from weakref import WeakValueDictionary

from milepost.carriers.connector import Broken, Credential, Refused
from milepost.carriers.exchange import Answer, Asks, Request
from milepost.carriers.looked_at import looking
from milepost.errors import CarrierUnreachable

MOST_TOKENS = 1000
MARGIN_SECONDS = 60.0
"""So long before its end a token is replaced, or a tenth of its life where that is shorter."""
FAILURE_SECONDS = 5.0
"""Who waited for a token that could not be had is told the same, instead of asking again."""


PAUSES = (30.0, 120.0, 600.0)
"""Seconds to stay away from a carrier that refuses a token it just gave, one after the other."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A token the carrier gave, and for how many seconds it is good."""

    text: str = field(repr=False)
    seconds: float


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

    Token requests take slots like any other.
    """

    def __init__(
        self,
        ask: Callable[[Credential], Request],
        read: Callable[[Answer], Granted | Refused | Broken],
        refuses: Callable[[Answer], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ask`` makes the question for a token and ``read`` reads its answer; ``refuses`` tells
        an answer that does not take the token. ``clock`` gives seconds that never run backwards.
        """
        self._ask = ask
        self._read = read
        self._refuses = refuses
        self._clock = clock
        self._known: OrderedDict[bytes, _Token | _Failure] = OrderedDict()
        self._refused: OrderedDict[bytes, int] = OrderedDict()
        # A lock lives as long as anybody has it or waits for it.
        self._asking: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    async def fetch(
        self, carrier: Asks, credential: Credential, request: Callable[[str], Request]
    ) -> Answer | Refused | Broken:
        """The answer to ``request(token)``, or why there is no token.

        A token that is refused is replaced once. Where the new one is refused as well, another
        process may have a newer one of a login that has one at a time: it is tried again after
        ``PAUSES``, and only then is the answer the refusal it looks like. Raises what ``carrier``
        does.
        """
        key = _key(credential)
        for _ in range(2):
            token = await self._token(key, carrier, credential)
            if not isinstance(token, _Token):
                return token.outcome
            answer = await carrier.fetch(request(token.text))
            if not self._refuses(answer):
                self._refused.pop(key, None)
                return answer
            if self._known.get(key) is token:
                # Whoever asks next gets a new one, whatever becomes of us.
                del self._known[key]
        return self._not_taken(key) or answer

    async def _token(
        self, key: bytes, carrier: Asks, credential: Credential
    ) -> "_Token | _Failure":
        """The kept one, else a new one that all who wait share."""
        async with self._asking.setdefault(key, asyncio.Lock()):
            known = self._living(key)
            if known is not None:
                return known
            got = await self._new(carrier, credential)
            self._keep(key, got)
            return got

    def _not_taken(self, key: bytes) -> Refused | Broken | None:
        """What to tell of a carrier that took neither token; None: what it says itself."""
        known = self._living(key)
        if isinstance(known, _Failure):
            # Whoever asked at the same time was told so already: that is once, not twice.
            return known.outcome
        times = self._refused.get(key, 0)
        if times >= len(PAUSES):
            return None
        self._refused[key] = times + 1
        while len(self._refused) > MOST_TOKENS:
            self._refused.popitem(last=False)
        failure = self._failed(Refused(PAUSES[times], "tokens were refused as soon as given"))
        self._keep(key, failure)
        return failure.outcome

    async def _new(self, carrier: Asks, credential: Credential) -> "_Token | _Failure":
        asked_at = self._clock()
        try:
            answer = await carrier.fetch(self._ask(credential))
        except CarrierUnreachable as error:
            return self._failed(Broken(f"no token: {error}"))
        # What a login's answer is like is its reader's business, and no field of a parcel.
        with looking(None):
            told = self._read(answer)
        if not isinstance(told, Granted):
            return self._failed(told)
        margin = min(MARGIN_SECONDS, told.seconds / 10)
        return _Token(told.text, asked_at + told.seconds - margin)

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
