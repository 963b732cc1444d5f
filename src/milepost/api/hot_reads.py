"""The two look-ups by number, v3 and v2: answered right behind the guard, since nearly all traffic
is these.

A look-up answers the finished bytes of a snapshot; only other orders are rendered on the way.
"""

import hashlib
from collections.abc import Awaitable, Mapping
from typing import Literal, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from milepost.api.authentication import ADMITTED, Admitted, Scope, header
from milepost.api.error_bodies import Rendered
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
    """A finished answer of a parcel."""

    @property
    def body(self) -> bytes:
        """Newest event first."""

    @property
    def etag(self) -> str:
        """The tag of the v3 answer, quoted."""


class Reads(Protocol):
    """What is needed of ``parcels.find.Reader``."""

    async def read(
        self,
        account_id: int,
        number: str,
        carrier_code: str | None,
        epoch: int,
        form: Literal["v3", "v2"],
    ) -> Found | None:
        """The newest parcel of a number."""

    async def load(
        self, account_id: int, number: str, carrier_code: str | None = None
    ) -> tuple[TrackedParcel, Journey] | None:
        """The parcel itself, for other orders."""


def is_hot(scope: Scope) -> bool:
    """Whether a request is one of the look-ups; the path must have been read by the guard."""
    raw: bytes = scope["raw_path"]
    return scope["method"] in ("GET", "HEAD") and raw.startswith((V3_PREFIX, V2_PREFIX))


class HotReads:
    """Answers both look-ups."""

    def __init__(self, reads: Reads) -> None:
        """``reads`` shares one query among look-ups that come together."""
        self._reads = reads

    def __call__(self, scope: Scope) -> Awaitable[Rendered] | None:
        """The answer to a request that was let in; None where it is not one of the look-ups.

        Raises InvalidInput, NotFoundError and DatabaseUnavailable.
        """
        return self._answer(scope) if is_hot(scope) else None

    async def _answer(self, scope: Scope) -> Rendered:
        admitted: Admitted = scope[ADMITTED]
        caller, raw = admitted.caller, scope["raw_path"]
        if raw.startswith(V3_PREFIX):
            number, options = _number_of_v3(raw), _options(scope)
            carrier = options.get("carrier_code") or None
            if _order(options) == "asc":
                loaded = await self._reads.load(caller.account_id, number, carrier)
                body = v3.tracking_answer(*_existing(loaded), oldest_first=True)
                return _given(scope, body, _tag(body))
            found = await self._reads.read(
                caller.account_id, number, carrier, caller.render_epoch, "v3"
            )
            found = _existing(found)
            return _given(scope, found.body, found.etag)
        number = _existing(_number(raw[len(V2_PREFIX) :]))
        carrier = _options(scope).get("carrier_code") or None
        if caller.v2_order == "oldest":
            loaded = await self._reads.load(caller.account_id, number, carrier)
            body = v2.tracking_answer(*_existing(loaded), oldest_first=True)
        else:
            found = await self._reads.read(
                caller.account_id, number, carrier, caller.render_epoch, "v2"
            )
            body = _existing(found).body
        return _given(scope, body, _tag(body))


def _number_of_v3(raw: bytes) -> str:
    number = _number(raw[len(V3_PREFIX) :])
    if number is None:
        raise InvalidInput(
            "A tracking number has 1 to 255 characters, none of them a control, "
            "bidirectional or zero-width character",
            ("path", "tracking_number"),
            "tracking_number_format",
        )
    return number


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


_NO_OPTIONS: Mapping[str, str] = {}


def _options(scope: Scope) -> Mapping[str, str]:
    if not scope["query_string"]:
        return _NO_OPTIONS
    options = dict(parameters(scope))
    for name in ("order", "carrier_code"):
        check_storable(name, options.get(name, ""))
    return options


def _order(options: Mapping[str, str]) -> str:
    order = options.get("order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidInput("Input should be 'asc' or 'desc'", ("query", "order"), "enum")
    return order


def _tag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


_VARY = (b"vary", b"Authorization, Accept")
# The account is part of the answer, so only the client itself may keep it, and it must ask.
_CACHE = (b"cache-control", b"private, no-cache")
_JSON = (b"content-type", b"application/json")


def _given(scope: Scope, body: bytes, etag: str) -> Rendered:
    tag = etag.encode()
    named = (b"etag", tag)
    wanted = header(scope, b"if-none-match")
    if wanted is not None and _matches(wanted, tag):
        return Rendered(304, (named, _CACHE, _VARY), b"")
    length = (b"content-length", b"%d" % len(body))
    headers = (named, _CACHE, _VARY, _JSON, length)
    return Rendered(200, headers, b"" if scope["method"] == "HEAD" else body)


def _matches(wanted: bytes, tag: bytes) -> bool:
    """If-None-Match compares weakly: proxies mark a tag with ``W/`` when they repack the body."""
    if wanted.strip() == b"*":
        return True
    return any(one.strip().removeprefix(b"W/") == tag for one in wanted.split(b","))
