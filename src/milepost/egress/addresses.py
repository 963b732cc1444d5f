"""What an IP address is, for deciding whether it may be dialled; pure.

An own list: ``ipaddress.is_global`` says True of ``64:ff9b::169.254.169.254``, ``::127.0.0.1``,
``2002:7f00:1::``, ``fec0::1``, ``5f00::1``, ``224.0.0.1``, and differs between Python's versions.
IPv4 is what the IANA special-purpose registry leaves over; of IPv6 only 2000::/3 is given out.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "an address of this machine"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a carrier-grade NAT address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a protocol assignment"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.31.196.0/24", "an address of a name server's sink"),
        ("192.52.193.0/24", "a multicast relay"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "a private address"),
        ("192.175.48.0/24", "an address of a name server's sink"),
        ("198.18.0.0/15", "a benchmark address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "an address of this machine"),
        ("::1/128", "a loopback address"),
        ("::/96", "an IPv4-compatible address"),
        ("64:ff9b:1::/48", "a local NAT64 address"),
        ("100::/64", "a discard address"),
        ("2001::/32", "a Teredo address"),
        ("2001:2::/48", "a benchmark address"),
        ("2001::/23", "a protocol assignment"),
        ("2001:db8::/32", "a documentation address"),
        ("2002::/16", "a 6to4 address"),
        ("2620:4f:8000::/48", "an address of a name server's sink"),
        ("3fff::/20", "a documentation address"),
        ("5f00::/16", "a segment routing address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    )
)
_GIVEN_OUT = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")

NEVER = tuple(
    IPv4Network(network)
    for network in (
        "169.254.0.0/16",  # .169.254: nearly every cloud; .170.2, .170.23: AWS; .42.42: Scaleway
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure, in public space
        "192.0.0.192/32",  # Oracle
        "192.80.8.124/32",  # Equinix Metal, in public space
    )
) + tuple(
    IPv6Network(network)
    for network in (
        "fe80::/10",  # fe80::a9fe:a9fe and its like
        "fd00:ec2::/32",  # AWS: ::254, ::23
        "fd20:ce::254/128",  # Google
        "fd00:c1::a9fe:a9fe/128",  # Oracle
        "fd00:a9fe:a9fe::1/128",  # Akamai
        "fd00:42::42/128",  # Scaleway
    )
)
"""Where machines are told their credentials: never dialled, whatever is allowed."""


def reached(address: Address) -> Address:
    """What a packet to ``address`` reaches: the IPv4 address in a mapped or a NAT64 form."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return _v4(int(address))
    return address


def kind_of(address: Address) -> str:
    """Why ``address`` is none of the public Internet's hosts (``a loopback address``); or ``""``.

    A mapped or NAT64 form is judged as what it reaches. Tunnels (6to4, Teredo, IPv4-compatible) are
    refused as such: nobody receives webhooks there, and they end at any IPv4 address.
    """
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "an address of one network interface"
    address = reached(address)
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _V4 if address in network), "")
    kind = next((kind for network, kind in _V6 if address in network), "")
    if kind or address in _GIVEN_OUT:
        return kind or next((kind for kind in map(kind_of, _isatap(address)) if kind), "")
    return "a reserved address"


def serves_metadata(address: Address) -> bool:
    """Whether it, or any IPv4 address wrapped in it, is one of ``NEVER``."""
    inside = [reached(address)]
    if isinstance(address, IPv6Address):
        inside += _wrapped(address)
    return any(one in network for one in inside for network in NEVER)


def _wrapped(address: IPv6Address) -> Iterator[IPv4Address]:
    bits = int(address)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _COMPATIBLE:
        yield _v4(bits)
    if address in _LOCAL_NAT64:
        # Where the IPv4 address stands depends on the length of a prefix that only its operator
        # knows: 96, 64, 56 or 48, and the ninth byte is left out (RFC 6052, 2.2).
        yield _v4(bits)
        without = bits >> 64 << 56 | bits & (1 << 56) - 1
        for length in (48, 56, 64):
            yield _v4(without >> 88 - length)
    yield from _isatap(address)


def _isatap(address: IPv6Address) -> Iterator[IPv4Address]:
    # RFC 5214: 0000:5efe or 0200:5efe before the IPv4 address, under any prefix.
    if int(address) >> 32 & 0xFDFFFFFF == 0x5EFE:
        yield _v4(int(address))


def _v4(bits: int) -> IPv4Address:
    return IPv4Address(bits & 0xFFFFFFFF)
