"""aiohttp's connections, judged where they are dialled, bounded, never left hanging."""

import socket
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from milepost.egress.lookup import Lookup
from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy
from milepost.egress.targets import Target

MOST_DIALLED = 8
"""Addresses of a name that are tried; all of them are judged."""
MOST_IDLE = 256
"""Connections that are kept for later, whoever's; the next ones are closed after use."""
BESIDE_BODY = 256 * 1024
"""What an answer may have besides its body: interim answers, headers, frames of chunks. No less
than a transport hands over at once, or a long body would be refused for how fast it came."""


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
        self, policy: Policy, lookup: Lookup, *, idle_seconds: float, most_bytes: int
    ) -> None:
        """``most_bytes`` is all that is read of an answer, its head and its frames included."""
        super().__init__(
            limit=0,
            resolver=_Resolver(policy, lookup),
            use_dns_cache=False,  # the look-up has its own
            keepalive_timeout=idle_seconds,
            socket_factory=partial(_judged_socket, policy),
        )
        handler: Any = partial(_BoundedHandler, loop=self._loop, most_bytes=most_bytes)
        self._factory = handler

    async def _get(self, key: Any, traces: Any) -> Any:
        return None if calling.get().fresh else await super()._get(key, traces)

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        # aiohttp bounds what is in use, not what is idle: 256 receivers are 256 open files.
        full = sum(map(len, self._conns.values())) >= MOST_IDLE
        protocol.rest()
        super()._release(key, protocol, should_close=should_close or full)


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


class _BoundedHandler(ResponseHandler):
    """One connection. What comes of an answer is counted: a body has its cap where it is read, but
    interim answers, headers of chunks and trailers without end would be read as fast as they come.
    While it is kept nothing may come: it would be taken for the answer to the next request, which
    may be another account's.
    """

    def __init__(self, loop: Any, most_bytes: int) -> None:
        super().__init__(loop)
        self._most_bytes = most_bytes
        self._left = 0

    def set_response_params(self, **told: Any) -> None:
        self._left = self._most_bytes
        super().set_response_params(**told)

    def rest(self) -> None:
        """It goes back to be used again."""
        self._left = 0

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.set_exception(aiohttp.ClientPayloadError("the answer is too long"))
            self.abort()
            return
        super().data_received(data)

    def close(self) -> None:
        # Not politely: what a receiver never reads would keep the socket open for ever.
        self.abort()
