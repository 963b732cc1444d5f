"""Whom limits by address count: never an address the client made up."""

import pytest

from milepost.api.client_address import TrustedProxies, limited_by
from milepost.errors import ConfigurationError


def seen(trusted: str, peer: str, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return TrustedProxies(trusted).client_address({"client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("", "198.51.100.1", ("203.0.113.9",), "198.51.100.1"),
        ("10.0.0.0/8", "198.51.100.1", ("203.0.113.9",), "198.51.100.1"),
        ("10.0.0.0/8", "10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ("6.6.6.6, 203.0.113.9",), "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ("6.6.6.6", "203.0.113.9, 10.9.9.9"), "203.0.113.9"),
        ("10.0.0.0/8", "::ffff:10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        ("10.0.0.0/8", "10.0.0.1", ("203.0.113.9, nonsense",), "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ("10.0.0.2",), "10.0.0.2"),
        ("::1 10.0.0.1", "::1", ("2001:db8::1",), "2001:db8::1"),
    ],
)
def test_only_listed_proxies_are_believed(
    trusted: str, peer: str, forwarded: tuple[str, ...], address: str
) -> None:
    assert seen(trusted, peer, *forwarded) == address


def test_a_missing_peer_is_nobody() -> None:
    assert TrustedProxies("10.0.0.0/8").client_address({"client": None, "headers": []}) == ""


def test_a_bad_setting_is_said() -> None:
    with pytest.raises(ConfigurationError, match="MILEPOST_TRUSTED_PROXIES"):
        TrustedProxies("10.0.0.0/8, nonsense")


def test_one_ipv6_customer_is_one() -> None:
    assert limited_by("2001:db8:1:2:3::4") == limited_by("2001:db8:1:2:ffff::1")
    assert limited_by("2001:db8:1:3::1") != limited_by("2001:db8:1:2::1")
    assert limited_by("::ffff:192.0.2.1") == limited_by("192.0.2.1") == "192.0.2.1"
    assert limited_by("unix") == "unix"
