"""Whose address a request comes from, when some proxies are trusted and nobody else is."""

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from milepost.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class TrustedProxies:
    """The proxies of ``MILEPOST_TRUSTED_PROXIES``: addresses or networks, separated by commas."""

    def __init__(self, listed: str) -> None:
        """ConfigurationError when an entry is neither."""
        try:
            self._networks = [
                ipaddress.ip_network(part, strict=False)
                for part in listed.replace(",", " ").split()
            ]
        except ValueError as error:
            raise ConfigurationError(f"MILEPOST_TRUSTED_PROXIES: {error}") from error

    def trusts(self, address: str) -> bool:
        """Whether what this peer says of its own clients counts."""
        known = _address(address)
        return known is not None and any(known in network for network in self._networks)

    def client_address(self, scope: Mapping[str, Any]) -> str:
        """The nearest address that is no trusted proxy.

        X-Forwarded-For is read from the right, because everything left of the first untrusted
        entry was written by whoever sent it; it is not read at all from an untrusted peer.
        """
        peer = (scope.get("client") or ("",))[0]
        nearest = str(peer or "")
        for hop in reversed(_forwarded(scope.get("headers") or ())):
            if not self.trusts(nearest):
                break
            if _address(hop) is None:
                break
            nearest = hop
        return nearest


def limited_by(address: str) -> str:
    """What limits by address count: one IPv4 address, or the /64 one IPv6 customer has."""
    known = _address(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, 64), strict=False))
    return address if known is None else str(known)


def _forwarded(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    values = [value for name, value in headers if name.lower() == b"x-forwarded-for"]
    hops = b",".join(values).decode("latin-1").split(",")
    return [hop.strip() for hop in hops if hop.strip()]


def _address(text: str) -> Address | None:
    try:
        known = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
        return known.ipv4_mapped
    return known
