"""aiohttp's connections, judged where they are dialled, bounded, never left hanging."""

import socket
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import ip_address
from itertools import chain
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from milepost.egress.lookup import Lookup
from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy
from milepost.egress.targets import Target

MOST_DIALLED = 8
"""Addresses of a name that are tried; all of them are judged."""
MOST_IDLE = 256
"""Connections that are kept for later, whoever's; the next ones are closed after use."""
BESIDE_BODY = 32 * 1024
"""Bytes of an answer besides its body: interim answers, headers, frames of chunks. Each of them is
work, some 10 us, so who sends nothing else takes a process from the others."""
_PIECE = 8 * 1024
"""What is parsed at once, for only then is it known what of it was body."""


class NotDialled(OSError):
    """An address that may not be dialled; nothing was sent to it."""

    def __init__(self, forbidden: Forbidden) -> None:
        super().__init__(forbidden.reason)
        self.forbidden = forbidden


@dataclass(slots=True)
class Call:
    """A request under way. ``fresh``: it takes no kept connection; ``dialled``: nor has it."""

    target: Target
    fresh: bool = False
    dialled: bool = False


calling: ContextVar[Call] = ContextVar("calling")
"""Whose request dials: the guard knows no more than an address."""


class GuardedConnector(aiohttp.TCPConnector):
    """Dials what ``policy`` allows.

    The guard is the factory of sockets, which is given the very address that is connected to next,
    by name or literal, at the first try or the last. A name is refused as soon as one of its
    addresses is: who mixes them hopes for the other.
    """

    def __init__(
        self, policy: Policy, lookup: Lookup, *, connect_seconds: float, idle_seconds: float
    ) -> None:
        super().__init__(
            limit=0,
            resolver=_Resolver(policy, lookup),
            use_dns_cache=False,  # the look-up has its own
            keepalive_timeout=idle_seconds,
            socket_factory=partial(_judged_socket, policy),
        )
        handler: Any = partial(BoundedHandler, loop=self._loop)
        self._factory = handler
        self._time = aiohttp.ClientTimeout(connect=connect_seconds)
        self._dialled_as = lru_cache(1024)(self._asking)

    async def reach(self, call: Call) -> Connection:
        """A kept connection to a call's target, or a new one. Raises aiohttp.ClientError."""
        calling.set(call)
        try:
            return await self.connect(self._dialled_as(call.target.url), [], self._time)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("no connection in time") from error

    def _asking(self, url: URL) -> aiohttp.ClientRequest:
        # How aiohttp is told where to; the same for all requests, none of which it is.
        return aiohttp.ClientRequest("POST", url, loop=self._loop)

    async def _get(self, key: Any, traces: Any) -> Any:
        return None if calling.get().fresh else await super()._get(key, traces)

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        # aiohttp bounds what is in use, not what is idle: 256 receivers are 256 open files.
        full = sum(map(len, self._conns.values())) >= MOST_IDLE
        super()._release(key, protocol, should_close=should_close or full or not protocol.rest())


class _Resolver(AbstractResolver):
    def __init__(self, policy: Policy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._lookup.addresses(host)
        for _, address in found:
            _judge(self._policy, host, port, address)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=0, flags=0)
            for kind, address in found[:MOST_DIALLED]
        ]

    async def close(self) -> None:
        await self._lookup.close()


def _judged_socket(policy: Policy, told: Any) -> socket.socket:
    family, kind, protocol, _, sockaddr = told
    call = calling.get()
    _judge(policy, call.target.host, sockaddr[1], sockaddr[0])
    call.dialled = True
    return socket.socket(family, kind, protocol)


def _judge(policy: Policy, host: str, port: int, text: str) -> None:
    try:
        address = ip_address(text)
    except ValueError:
        raise NotDialled(Forbidden(f"{host} leads to no address")) from None
    refused = policy.refusal(host, port, address)
    if refused is not None:
        raise NotDialled(refused)


class BoundedHandler(ResponseHandler):
    """One connection. What comes of an answer is counted: a body has its cap where it is read, but
    interim answers, headers of chunks and trailers without end would be read as fast as they come.
    While it is kept nothing may come: it would be taken for the answer to the next request, which
    may be another account's.
    """

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        self._came = 0
        self._late = bytearray()
        self._rests = True

    def set_response_params(self, **told: Any) -> None:
        """An answer is to come."""
        self._came = 0
        self._rests = False
        super().set_response_params(**told)

    def rest(self) -> bool:
        """It goes back to be used again; whether it may, as nothing came behind the answer."""
        self._came = 0
        self._rests = True
        return not self._late

    def data_received(self, data: bytes) -> None:
        """Parse it, and end the answer that has too much beside its body."""
        if self._rests and data:
            self._refuse()
            return
        self._late += data
        # Nothing comes where aiohttp, which had enough for a while, goes on.
        pieces = iter(self._piece, b"") if data else chain((b"",), iter(self._piece, b""))
        for piece in pieces:
            self._came += len(piece)
            super().data_received(piece)
            # Of the last piece it may have put off a part.
            body = getattr(self._payload, "total_bytes", 0)
            # It may rest by now, and the piece have held more than the end of the answer.
            came_behind = self._rests and self.should_close
            if came_behind or self._came - body > BESIDE_BODY + _PIECE:
                self._refuse()
                return

    def _piece(self) -> bytes:
        """What is parsed next; nothing while aiohttp has enough."""
        if self._reading_paused or self.transport is None:
            return b""
        piece = bytes(self._late[:_PIECE])
        del self._late[:_PIECE]
        return piece

    def _refuse(self) -> None:
        error = aiohttp.ClientPayloadError("the answer is too long")
        # Who was given a part of it comes back for more before the connection is seen to end.
        if self._payload is not None:
            self._payload.set_exception(error)
        self.abort()
        self.set_exception(error)

    def close(self) -> None:
        """Abort."""
        # Not politely: what a receiver never reads would keep the socket open for ever.
        self.abort()
