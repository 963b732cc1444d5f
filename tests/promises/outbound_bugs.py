"""What P14 must see: guards that are wrong in one way. Of each: where, what, the wrong thing."""

import socket
from ipaddress import ip_address
from typing import Any

from aiohttp.abc import ResolveResult
from yarl import URL

from milepost.egress import addresses, client, connector, policy
from milepost.egress.outcomes import Answered, Forbidden
from milepost.egress.targets import Target

_kind_of = addresses.kind_of
_exchange = client.GuardedClient._exchange
MOST_REDIRECTS = 10


def is_global(self: Any, host: str, port: int, address: Any) -> Forbidden | None:
    return None if address.is_global else Forbidden("not global")


def by_text(self: Any, host: str, port: int, address: Any) -> Forbidden | None:
    try:
        kind = _kind_of(ip_address(host))
    except ValueError:
        return Forbidden("loopback") if host == "localhost" else None
    return Forbidden(kind) if kind else None


async def looked_up_again(
    self: Any, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
) -> list[ResolveResult]:
    for _, address in await self._lookup.addresses(host):
        if refused := self._policy.refusal(host, port, ip_address(address)):
            raise connector.NotDialled(refused)
    again = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [
        ResolveResult(
            hostname=host, host=str(one[4][0]), port=port, family=one[0], proto=0, flags=0
        )
        for one in again
    ]


async def first_answer(
    self: Any, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
) -> list[ResolveResult]:
    found = await self._lookup.addresses(host)
    if refused := self._policy.refusal(host, port, ip_address(found[0][1])):
        raise connector.NotDialled(refused)
    return [
        ResolveResult(hostname=host, host=one, port=port, family=kind, proto=0, flags=0)
        for kind, one in found
    ]


async def redirects(self: Any, exchange: Any, begun: float) -> Answered:
    answered = await _exchange(self, exchange, begun)
    for _ in range(MOST_REDIRECTS):
        target = _pointed_at(exchange.call.target.url, answered)
        if target is None:
            break
        exchange.call = connector.Call(target)
        answered = await _exchange(self, exchange, begun)
    return answered


def _pointed_at(url: URL, answered: Answered) -> Target | None:
    location = answered.headers.get("location")
    if answered.status not in (301, 302, 303, 307, 308) or location is None:
        return None
    try:
        url = url.join(URL(location))
        host, port = url.raw_host, url.port
    except ValueError:
        return None
    return Target(url, host, port) if host and port and url.scheme in ("http", "https") else None


def nat64_let_through(address: Any) -> str:
    return "" if address in addresses._NAT64 else _kind_of(address)


def unguarded(policy: Any, told: Any) -> socket.socket:
    connector.calling.get().dialled = True
    return socket.socket(*told[:3])


NO_GUARD = (connector, "_judged_socket", unguarded)
AGAIN = (connector._Resolver, "resolve", looked_up_again)
REDIRECTS = (client.GuardedClient, "_exchange", redirects)
Wrong = dict[str, list[tuple[Any, str, Any]]]
BUGS: Wrong = {
    "is_global": [(policy.Policy, "refusal", is_global)],
    "judges the text": [(policy.Policy, "refusal", by_text)],
    "NAT64 let through": [(policy, "kind_of", nat64_let_through)],
    "looks up again": [AGAIN, NO_GUARD],
    "judges the first answer": [(connector._Resolver, "resolve", first_answer), NO_GUARD],
    "follows redirects": [REDIRECTS, NO_GUARD],
}
GUARDED: Wrong = {
    "looks up again, with a guard": [AGAIN],
    "follows redirects, with a guard": [REDIRECTS],
}
"""What the guard at the socket catches by itself."""
BUGS |= GUARDED
