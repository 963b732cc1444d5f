"""Which addresses and ports may be called: the public ones, and what the operator excepts; pure."""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from milepost.egress.addresses import Address, kind_of, reached, serves_metadata
from milepost.egress.outcomes import Forbidden
from milepost.errors import ConfigurationError
from milepost.settings import Settings

ALLOW = "MILEPOST_EGRESS_ALLOW"
PORTS = "MILEPOST_EGRESS_PORTS"
_ANY_PORT = range(1, 65536)
_ENTRY = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<bare>[^\[\]]*?))(?::(?P<port>\d+|\*))?")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One exception: a network or a host's name, and the ports it holds for."""

    network: IPv4Network | IPv6Network | None
    host: str
    ports: Container[int]

    def holds(self, host: str, port: int, address: Address | None) -> bool:
        """Whether it lets ``host``, which led to ``address``, be called at ``port``.

        Without an address: whether it might.
        """
        if port not in self.ports:
            return False
        if self.network is None:
            return host.rstrip(".") == self.host
        return address is None or reached(address) in self.network


@dataclass(frozen=True, slots=True)
class Policy:
    """The ports everybody may use, and the operator's exceptions.

    An exception lets a private address be called, or another port. It is judged on the address that
    is dialled; where machines are told their credentials stays closed in spite of it.
    """

    ports: frozenset[int]
    allowances: tuple[Allowance, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        """As the operator set it. Raises ConfigurationError, naming setting and entry."""
        ports = frozenset(_port(entry, PORTS) for entry in _entries(settings.egress_ports))
        return cls(ports, tuple(_allowance(one, ports) for one in _entries(settings.egress_allow)))

    def refusal(self, host: str, port: int, address: Address) -> Forbidden | None:
        """Why ``address``, which is about to be dialled for ``host``, may not be; None: it may."""
        verb = "is" if host == str(address) else "leads to"
        if serves_metadata(address):
            reason = f"{host} {verb} an address where machines are told their credentials"
            return Forbidden(reason, str(address))
        if any(one.holds(host, port, address) for one in self.allowances):
            return None
        if kind := kind_of(address):
            reason = f"{host} {verb} {kind}; only the operator can allow it ({ALLOW})"
            return Forbidden(reason, str(address))
        return None if port in self.ports else self._odd_port(port)

    def port_refusal(self, host: str, port: int) -> Forbidden | None:
        """Why ``port`` can't be right whatever address the name leads to."""
        if port in self.ports or any(one.holds(host, port, None) for one in self.allowances):
            return None
        return self._odd_port(port)

    def _odd_port(self, port: int) -> Forbidden:
        usual = ", ".join(map(str, sorted(self.ports)))
        return Forbidden(f"port {port} is none of {usual}; the operator can add it ({PORTS})")


def _entries(text: str) -> Iterable[str]:
    return (entry.strip().lower() for entry in text.split(",") if entry.strip())


def _port(text: str, setting: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) in _ANY_PORT):
        raise ConfigurationError(f"{setting}: {text} is no port")
    return int(text)


def _allowance(entry: str, ports: frozenset[int]) -> Allowance:
    network = _network(entry)
    if network is not None:
        return Allowance(network, "", ports)
    found = _ENTRY.fullmatch(entry)
    where = (found["six"] or found["bare"]) if found is not None else ""
    allowed: Container[int] = ports
    if found is not None and found["port"] is not None:
        allowed = _ANY_PORT if found["port"] == "*" else {_port(found["port"], ALLOW)}
    network = _network(where)
    if network is not None:
        return Allowance(network, "", allowed)
    # Something that ends like an IPv4 address was meant as one.
    if _NAME.fullmatch(where) is None or where.rpartition(".")[2].isdecimal():
        raise ConfigurationError(
            f"{ALLOW}: {entry} is no network, address or host name, with :PORT or :* or without"
        )
    return Allowance(None, where, allowed)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
