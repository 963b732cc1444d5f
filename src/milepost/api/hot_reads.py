"""The two look-ups by number, v3 and v2: plain ASGI, since nearly all traffic is these.

A look-up answers the finished bytes of a snapshot; only other orders are rendered on the way.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from milepost.accounts.gatekeeper import Caller
from milepost.api.authentication import ADMITTED, Admitted, Receive, Scope, Send, header
from milepost.api.query_string import check_storable, parameters
from milepost.api.v3_fields import trimmed_number
from milepost.errors import InvalidInput, NotFoundError
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel
from milepost.wire import v2, v3

T = TypeVar("T")

V3_PREFIX = b"/api/v3/parcels/tracking/"
V2_PREFIX = b"/api/v2/tracking/"


class Found(Protocol):
    """The finished answers of a parcel."""

    @property
    def v3(self) -> bytes:
        """The v3 answer, newest event first."""

    @property
    def v2(self) -> bytes:
        """The v2 answer, newest status first."""

    @property
    def etag(self) -> str:
        """The tag of the v3 answer, quoted."""


class Reads(Protocol):
    """What is needed of ``parcels.find.Reader``."""

    async def read(
        self, account_id: int, number: str, carrier_code: str | None, epoch: int
    ) -> Found | None:
        """The newest parcel of a number."""

    async def load(
        self, account_id: int, number: str, carrier_code: str | None = None
    ) -> tuple[TrackedParcel, Journey] | None:
        """The parcel itself, for other orders."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body and the tag that stands for it."""

    body: bytes
    etag: str


def is_hot(scope: Scope) -> bool:
    """Whether a request is one of the look-ups; the path must have been read by the guard."""
    raw: bytes = scope["raw_path"]
    return scope["method"] in ("GET", "HEAD") and raw.startswith((V3_PREFIX, V2_PREFIX))


class HotReads:
    """ASGI app of both look-ups."""

    def __init__(self, reads: Reads) -> None:
        """``reads`` shares one query among look-ups that come together."""
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI, for requests that ``is_hot`` names."""
        admitted: Admitted = scope[ADMITTED]
        if scope["raw_path"].startswith(V3_PREFIX):
            answer = await self._v3(scope, admitted.caller)
        else:
            answer = await self._v2(scope, admitted.caller)
        await _send(scope, send, answer)

    async def _v3(self, scope: Scope, caller: Caller) -> Answer:
        number = _number(scope["raw_path"][len(V3_PREFIX) :])
        if number is None:
            raise InvalidInput(
                "A tracking number has 1 to 255 characters, none of them a control, "
                "bidirectional or zero-width character",
                ("path", "tracking_number"),
                "tracking_number_format",
            )
        options = _options(scope)
        carrier = options.get("carrier_code") or None
        order = options.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidInput("Input should be 'asc' or 'desc'", ("query", "order"), "enum")
        if order == "asc":
            loaded = await self._reads.load(caller.account_id, number, carrier)
            return _rendered(v3.tracking_answer(*_existing(loaded), oldest_first=True))
        found = await self._reads.read(caller.account_id, number, carrier, caller.render_epoch)
        found = _existing(found)
        return Answer(found.v3, found.etag)

    async def _v2(self, scope: Scope, caller: Caller) -> Answer:
        number = _existing(_number(scope["raw_path"][len(V2_PREFIX) :]))
        carrier = _options(scope).get("carrier_code") or None
        if caller.v2_order == "oldest":
            loaded = await self._reads.load(caller.account_id, number, carrier)
            return _rendered(v2.tracking_answer(*_existing(loaded), oldest_first=True))
        found = await self._reads.read(caller.account_id, number, carrier, caller.render_epoch)
        return _rendered(_existing(found).v2)


def _number(raw: bytes) -> str | None:
    """The tracking number of a path, None where it can't be one."""
    try:
        return trimmed_number(unquote_to_bytes(raw).decode())
    except UnicodeDecodeError:
        return None


def _existing(found: T | None) -> T:
    if found is None:
        raise NotFoundError
    return found


def _options(scope: Scope) -> dict[str, str]:
    options = dict(parameters(scope))
    for name in ("order", "carrier_code"):
        check_storable(name, options.get(name, ""))
    return options


def _rendered(body: bytes) -> Answer:
    return Answer(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')


async def _send(scope: Scope, send: Send, answer: Answer) -> None:
    tag = answer.etag.encode()
    # The account is part of the answer, so only the client itself may keep it, and it must ask.
    headers = [
        (b"etag", tag),
        (b"cache-control", b"private, no-cache"),
        (b"vary", b"Authorization, Accept"),
    ]
    wanted = header(scope, b"if-none-match")
    if wanted is not None and _matches(wanted, tag):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    headers += [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def _matches(wanted: bytes, tag: bytes) -> bool:
    """If-None-Match compares weakly: proxies mark a tag with ``W/`` when they repack the body."""
    if wanted.strip() == b"*":
        return True
    return any(one.strip().removeprefix(b"W/") == tag for one in wanted.split(b","))
