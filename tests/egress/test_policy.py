"""What the operator may except, and what stays closed."""

from ipaddress import ip_address

import pytest

from milepost.egress.policy import Policy
from milepost.errors import ConfigurationError
from milepost.settings import Settings


def policy(allow: str = "", ports: str = "80,443,8080,8443") -> Policy:
    return Policy.of(Settings(egress_allow=allow, egress_ports=ports))


def why(allow: str, host: str, port: int, address: str) -> str:
    refused = policy(allow).refusal(host, port, ip_address(address))
    return refused.reason if refused is not None else ""


@pytest.mark.parametrize(
    ("allow", "host", "port", "address"),
    [
        ("", "example.com", 443, "93.184.216.34"),
        ("", "example.com", 8443, "64:ff9b::8.8.8.8"),
        ("10.1.0.0/16", "a.test", 80, "10.1.2.3"),
        ("10.1.0.0/16", "a.test", 443, "::ffff:10.1.2.3"),
        ("10.1.2.3", "a.test", 443, "10.1.2.3"),
        ("10.1.0.0/16:9000", "a.test", 9000, "10.1.2.3"),
        ("127.0.0.1:*", "a.test", 1, "127.0.0.1"),
        ("127.0.0.1:*", "a.test", 65535, "127.0.0.1"),
        ("fd00::/8", "a.test", 443, "fd00::1"),
        ("[fd00::1]:9000", "a.test", 9000, "fd00::1"),
        ("[fd00::/8]", "a.test", 443, "fd12::1"),
        ("hooks.internal", "hooks.internal", 443, "10.9.9.9"),
        ("Hooks.Internal:9000", "hooks.internal.", 9000, "10.9.9.9"),
        ("10.0.0.1, hooks.internal:9000 ,", "hooks.internal", 9000, "::1"),
        ("a.test:9000", "a.test", 9000, "8.8.8.8"),
        ("8.8.8.0/24:9000", "a.test", 9000, "8.8.8.8"),
    ],
)
def test_what_may_be_called(allow: str, host: str, port: int, address: str) -> None:
    assert why(allow, host, port, address) == ""


@pytest.mark.parametrize(
    ("allow", "host", "port", "address", "reason"),
    [
        ("", "a.test", 443, "10.0.0.1", "a.test leads to a private address; only the operator"),
        ("", "10.0.0.1", 443, "10.0.0.1", "10.0.0.1 is a private address; only the operator"),
        ("", "a.test", 22, "8.8.8.8", "port 22 is none of 80, 443, 8080, 8443; the operator"),
        ("10.1.0.0/16", "a.test", 9000, "10.1.2.3", "a.test leads to a private address"),
        ("10.1.0.0/16:9000", "a.test", 443, "10.1.2.3", "a.test leads to a private address"),
        ("10.1.0.0/16", "a.test", 443, "10.2.0.0", "a.test leads to a private address"),
        ("hooks.internal", "a.internal", 443, "10.0.0.1", "a.internal leads to a private"),
        ("hooks.internal", "x.hooks.internal", 443, "10.0.0.1", "x.hooks.internal leads to"),
        ("8.8.8.0/24:9000", "a.test", 9000, "8.8.9.8", "port 9000 is none of"),
        ("8.8.8.8:*", "a.test", 0, "8.8.8.8", "port 0 is none of"),
    ],
)
def test_what_may_not_be_called(
    allow: str, host: str, port: int, address: str, reason: str
) -> None:
    assert why(allow, host, port, address).startswith(reason)


def test_a_refusal_names_the_setting_and_keeps_the_address_for_the_operator() -> None:
    refused = policy().refusal("db.internal", 443, ip_address("10.0.0.7"))
    assert refused is not None
    assert "MILEPOST_EGRESS_ALLOW" in refused.reason
    assert "10.0.0.7" not in refused.reason
    assert refused.address == "10.0.0.7"
    assert "MILEPOST_EGRESS_PORTS" in why("", "a.test", 22, "8.8.8.8")


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "64:ff9b::100.100.100.200"]
)
@pytest.mark.parametrize("allow", ["", "0.0.0.0/0:*, ::/0:*, a.test:*", "169.254.169.254"])
def test_metadata_stays_closed(allow: str, address: str) -> None:
    assert "told their credentials" in why(allow, "a.test", 443, address)
    assert policy(allow).refusal(address, 80, ip_address(address)) is not None


def test_a_port_that_no_address_could_save() -> None:
    assert policy().port_refusal("a.test", 443) is None
    assert policy().port_refusal("a.test", 22) is not None
    assert policy("b.test:22").port_refusal("a.test", 22) is not None
    assert policy("a.test:22").port_refusal("a.test", 22) is None
    # Where the name leads, only a look-up tells.
    assert policy("10.0.0.0/8:22").port_refusal("a.test", 22) is None
    assert policy("10.0.0.0/8").port_refusal("a.test", 22) is not None
    assert policy(ports="22").port_refusal("a.test", 22) is None
    assert policy(ports="22").port_refusal("a.test", 443) is not None


@pytest.mark.parametrize(
    ("allow", "ports"),
    [
        ("10.1.0.1/16", "80"),
        ("10.1.0.0/33", "80"),
        ("10.1.0", "80"),
        ("256.1.1.1", "80"),
        ("10.0.0.0/8:0", "80"),
        ("10.0.0.0/8:65536", "80"),
        ("a.test:http", "80"),
        ("a.test:", "80"),
        ("*.internal", "80"),
        ("http://a.test", "80"),
        ("[fd00::1", "80"),
        (":9000", "80"),
        ("a b", "80"),
        ("", "http"),
        ("", "0"),
        ("", "65536"),
        ("", "²"),
        ("", "８０"),
    ],
)
def test_settings_that_say_nothing_sensible(allow: str, ports: str) -> None:
    with pytest.raises(ConfigurationError, match=r"MILEPOST_EGRESS_(ALLOW|PORTS): "):
        policy(allow, ports)
