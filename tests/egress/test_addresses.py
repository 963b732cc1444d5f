"""What an address is: each network at its edges, each wrapping of each."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from tests.promises.outbound_vectors import words

from milepost.egress import addresses
from milepost.egress.addresses import Address, kind_of, reached, serves_metadata

# Written down a second time, from the IANA registries of special-purpose addresses.
V4 = words("""
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
""")
V6 = words("""
::/3 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 4000::/2 8000::/1
""")
CALLED = words("1.1.1.1 8.8.8.8 93.184.216.34 2606:4700::1111 2a00:1450:4001::1 3ffe::1")
TOLD = words("169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192")
TOLD6 = words("""
fd00:ec2::254 fd00:ec2::23 fe80::a9fe:a9fe fd20:ce::254 fd00:c1::a9fe:a9fe fd00:a9fe:a9fe::1
fd00:42::42
""")


def is_in(address: Address, networks: list[str]) -> bool:
    return any(address in ip_network(network) for network in networks)


def edges(networks: list[str]) -> Iterator[tuple[Address, bool]]:
    """First and last address of each network, and their neighbours, with what is due."""
    for network in map(ip_network, networks):
        for first, step in ((network.network_address, -1), (network.broadcast_address, 1)):
            yield first, True
            last = 2**first.max_prefixlen - 1
            if 0 <= int(first) + step <= last:
                beside = type(first)(int(first) + step)
                yield beside, is_in(beside, V4 if first.version == 4 else V6)


@pytest.mark.parametrize(("address", "inside"), list(edges(V4)), ids=str)
def test_ipv4_at_the_edges(address: IPv4Address, inside: bool) -> None:
    assert bool(kind_of(address)) is inside
    for prefix in ("::ffff:", "64:ff9b::"):
        assert bool(kind_of(IPv6Address(f"{prefix}{address}"))) is inside
    # Interface identifiers that hold an IPv4 address, under a public prefix.
    for middle in ("0:5efe", "200:5efe"):
        assert bool(kind_of(IPv6Address(f"2a00:1450:4001:1:{middle}:{address}"))) is inside


@pytest.mark.parametrize(("address", "inside"), list(edges(V6)), ids=str)
def test_ipv6_at_the_edges(address: IPv6Address, inside: bool) -> None:
    # 64:ff9b::/96 is the one part of ::/3 that leads out, where IPv4 is a way out.
    assert bool(kind_of(address)) is inside


@pytest.mark.parametrize("address", CALLED)
def test_public_addresses(address: str) -> None:
    assert kind_of(ip_address(address)) == ""
    assert not serves_metadata(ip_address(address))


def test_tunnels_are_refused_wherever_they_end() -> None:
    for address in ("2002:808:808::1", "2001:0:808:808::1", "::8.8.8.8", "64:ff9b:1::8.8.8.8"):
        assert kind_of(IPv6Address(address))
    assert kind_of(IPv6Address("2a00:1450:4001::100:5efe:7f00:1")) == ""


def test_an_interface_is_no_host_of_the_internet() -> None:
    for zoned in ("fe80::1%eth0", "2606:4700::1111%2", "::ffff:8.8.8.8%1"):
        assert kind_of(ip_address(zoned)) == "an address of one network interface"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "a loopback address"),
        ("::ffff:10.0.0.1", "a private address"),
        ("64:ff9b::169.254.169.254", "a link-local address"),
        ("::1", "a loopback address"),
        ("::127.0.0.1", "an IPv4-compatible address"),
        ("2001::1", "a Teredo address"),
        ("2001:2::1", "a benchmark address"),
        ("2001:10::1", "a protocol assignment"),
        ("2002:7f00:1::", "a 6to4 address"),
        ("2a00::5efe:127.0.0.1", "a loopback address"),
        ("4000::1", "a reserved address"),
        ("64:ff9b:1::1", "a local NAT64 address"),
    ],
)
def test_the_kind_is_named(address: str, kind: str) -> None:
    assert kind_of(ip_address(address)) == kind


def test_what_is_reached() -> None:
    assert reached(ip_address("10.0.0.1")) == IPv4Address("10.0.0.1")
    assert reached(ip_address("::ffff:10.0.0.1")) == IPv4Address("10.0.0.1")
    assert reached(ip_address("64:ff9b::10.0.0.1")) == IPv4Address("10.0.0.1")
    assert reached(ip_address("64:ff9b::1:10.0.0.1")) == IPv6Address("64:ff9b::1:10.0.0.1")
    assert reached(ip_address("2001:db8::1")) == IPv6Address("2001:db8::1")


def wrappings(told: str) -> Iterator[str]:
    """Every form in which an IPv4 address travels as an IPv6 one."""
    bits = int(IPv4Address(told))
    high, low = f"{bits >> 16:x}", f"{bits & 0xFFFF:x}"
    yield from (f"::ffff:{told}", f"64:ff9b::{told}", f"::{told}", f"2002:{high}:{low}::1")
    yield f"2001:0:{high}:{low}::1"
    yield f"2001:0:808:808:0:0:{bits >> 16 ^ 0xFFFF:x}:{bits & 0xFFFF ^ 0xFFFF:x}"
    yield from (f"2a00:1450:4001::5efe:{told}", f"fd00::200:5efe:{told}", f"64:ff9b:1::{told}")
    # RFC 6052, 2.2: prefixes of 48, 56 and 64 bits; the ninth byte, zero by rights, is left out.
    a, b, c, d = (f"{byte:02x}" for byte in IPv4Address(told).packed)
    for ninth in ("00", "ff"):
        yield f"64:ff9b:1:{a}{b}:{ninth}{c}:{d}00::"
        yield f"64:ff9b:1:12{a}:{ninth}{b}:{c}{d}::"
        yield f"64:ff9b:1:1234:{ninth}{a}:{b}{c}:{d}00:0"


@pytest.mark.parametrize("told", TOLD)
def test_metadata_is_known_in_every_wrapping(told: str) -> None:
    assert serves_metadata(IPv4Address(told))
    for wrapped in wrappings(told):
        assert serves_metadata(IPv6Address(wrapped)), wrapped
        assert kind_of(IPv6Address(wrapped)) or told == "168.63.129.16", wrapped
    for beside in wrappings("9.9.9.9"):
        assert not serves_metadata(IPv6Address(beside)), beside


@pytest.mark.parametrize("told", TOLD6)
def test_metadata_over_ipv6(told: str) -> None:
    assert serves_metadata(IPv6Address(told))
    assert serves_metadata(IPv6Address(f"{told}%eth0"))


def test_not_everything_is_metadata() -> None:
    for other in ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "100.100.100.201", "fd00:ec3::254"):
        assert not serves_metadata(ip_address(other))


def test_the_predicate_of_the_standard_library_would_not_do() -> None:
    trusted = ("64:ff9b::169.254.169.254", "::127.0.0.1", "fec0::1", "5f00::1", "168.63.129.16")
    assert all(ip_address(one).is_global for one in trusted)
    assert all(kind_of(ip_address(one)) or serves_metadata(ip_address(one)) for one in trusted)


def test_the_tables_hold_whole_networks() -> None:
    for network, kind in (*addresses._V4, *addresses._V6):
        assert isinstance(network, IPv4Network | IPv6Network)
        assert kind.split()[0] in ("a", "an")
