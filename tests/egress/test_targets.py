"""Which URLs are taken, and why others are not."""

import pytest
from tests.promises.outbound_vectors import words

from milepost.egress.headers import can_be_sent, fault_of
from milepost.egress.outcomes import Forbidden
from milepost.egress.policy import Policy
from milepost.egress.targets import LONGEST, Target, target_of
from milepost.settings import Settings

POLICY = Policy.of(Settings(egress_allow="hooks.internal:9000"))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://example.com/hook?x=1", "example.com", 443),
        ("http://EXAMPLE.com.:8080/", "example.com.", 8080),
        ("HTTPS://example.com", "example.com", 443),
        ("https://bücher.example/ü?ü=ü", "xn--bcher-kva.example", 443),
        ("https://a_b.example-1.com:8443/@x", "a_b.example-1.com", 8443),
        ("https://93.184.216.34/", "93.184.216.34", 443),
        ("https://[2606:4700::1111]:8443/", "2606:4700::1111", 8443),
        ("http://hooks.internal:9000/", "hooks.internal", 9000),
        ("http://localhost/", "localhost", 80),
        ("https://example.com/" + "x" * (LONGEST - 20), "example.com", 443),
        ("https://4.example/", "4.example", 443),
        ("https://4chan/", "4chan", 443),
    ],
)
def test_what_is_taken(url: str, host: str, port: int) -> None:
    target = target_of(url, POLICY)
    assert isinstance(target, Target)
    assert (target.host, target.port) == (host, port)
    # What is asked is what was judged.
    assert target.url.raw_host == host
    assert target.url.port == port


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.com/" + "x" * (LONGEST - 19), f"it is longer than {LONGEST}"),
        ("https://example.com/a b", "it holds blanks"),
        ("https://example.com/\n", "it holds blanks"),
        ("https://example.com/\u2028", "it holds blanks"),
        ("https://example.com/\u3000", "it holds blanks"),
        ("ftp://example.com/", "it does not begin with http"),
        ("example.com", "it does not begin with http"),
        ("https:/example.com", "it does not begin with http"),
        ("https://example.com\\@10.0.0.1/", "it holds a user name"),
        ("https://example.com/a\\b", "it does not begin with http:// or https://, or"),
        ("https://user@example.com/", "it holds a user name"),
        ("https://:secret@example.com/", "it holds a user name"),
        ("https://@example.com/", "it holds a user name"),
        ("https://", "it has no host"),
        ("https:///x", "it has no host"),
        ("https://example.com:0/", "port 0 can't be called"),
        ("https://example.com:65536/", "it is no URL"),
        ("https://[::1/", "what is in its brackets"),
        ("https://a..example/", "its host is no name"),
        ("https://%65xample.com/", "its host is no name"),
        ("https://" + "a" * 64 + ".example/", "its host is no name"),
        ("https://" + "a." * 126 + "bc/", "its host is no name"),
        ("https://[v1.a]/", "what is in its brackets"),
        ("https://[::1%25lo]/", "what is in its brackets"),
        ("https://127.1/", "its host is no IPv4 address in the usual form"),
        ("https://0x7f.1/", "its host is no IPv4 address in the usual form"),
        ("https://0x/", "its host is no IPv4 address in the usual form"),
        ("https://127.0.0.1./", "its host is no IPv4 address in the usual form"),
        ("https://a.example.1/", "its host is no IPv4 address in the usual form"),
        ("https://１２７.0.0.1/", "127.0.0.1 is a loopback address"),
        ("https://[::ffff:127.0.0.1]/", "::ffff:7f00:1 is a loopback address"),
        ("https://example.com:22/", "port 22 is none of 80, 443, 8080, 8443"),
        ("https://93.184.216.34:22/", "port 22 is none of 80, 443, 8080, 8443"),
        ("https://example.com:9000/", "port 9000 is none of"),
    ],
)
def test_what_is_not_taken(url: str, reason: str) -> None:
    refused = target_of(url, POLICY)
    assert isinstance(refused, Forbidden)
    assert refused.reason.startswith(reason)
    assert "secret" not in refused.reason


def test_headers_that_may_be_added() -> None:
    assert fault_of({}) == ""
    assert fault_of({"X-Custom-Header": "my-value", "Authorization": "Bearer x"}) == ""
    assert fault_of({"X": "", "x-ä".replace("ä", "a"): "caf\xe9 \xa0~"}) == ""
    assert fault_of({f"X-{number}": "y" * 100 for number in range(20)}) == ""
    assert fault_of({"X" * 64: "y" * 2048}) == ""
    assert fault_of({f"X-{number}": "y" * 2045 for number in range(4)}) == ""


@pytest.mark.parametrize(
    ("headers", "fault"),
    [
        ({f"X-{number}": "y" for number in range(21)}, "there are more than 20 headers"),
        ({"X-A": "1", "x-a": "2"}, "a header is named twice"),
        ({f"X-{n}": "y" * (2045 + n // 3) for n in range(4)}, "the headers are longer than 8192"),
        ({"": "y"}, "a header's name is a token"),
        ({"X Y": "y"}, "a header's name is a token"),
        ({"X:": "y"}, "a header's name is a token"),
        ({"X\r\nY": "y"}, "a header's name is a token"),
        ({"X\n": "y"}, "a header's name is a token"),
        ({"Xé": "y"}, "a header's name is a token"),
        ({"X" * 65: "y"}, "a header's name is a token"),
        ({"X": "y\r\nHost: z"}, "X: a value is"),
        ({"X": "y\n"}, "X: a value is"),
        ({"X": "y\x00"}, "X: a value is"),
        ({"X": "y\x7f"}, "X: a value is"),
        ({"X": "y\x85"}, "X: a value is"),
        ({"X": "y\t"}, "X: a value is"),
        ({"X": "€"}, "X: a value is"),
        ({"X": "\ud800"}, "X: a value is"),
        ({"X": "y" * 2049}, "X: a value is"),
    ],
)
def test_headers_that_may_not(headers: dict[str, str], fault: str) -> None:
    assert fault_of(headers).startswith(fault)


OURS = words("""
    host HOST connection keep-alive te trailer transfer-encoding upgrade expect http2-settings
    proxy-authorization proxy-connection content-length content-type content-encoding user-agent
    accept-encoding sendcloud-signature webhook-id webhook-timestamp webhook-signature
    milepost-sequence milepost-attempt sec-fetch-site
""")


@pytest.mark.parametrize("name", OURS)
def test_headers_of_the_connection_and_our_own(name: str) -> None:
    assert fault_of({name: "x"}).endswith(("can't be set", "is set by Milepost"))
    assert fault_of({f"x-{name}": "x"}) == ""


def test_what_would_be_another_request_is_never_sent() -> None:
    assert can_be_sent({"Content-Type": "x", "webhook-id": "\xe9\t€", "Authorization": "Bearer y"})
    for name in ("Host", "content-length", "Transfer-Encoding", "X Y", "X\n", "Xé", ""):
        assert not can_be_sent({"X": "y", name: "z"})
    for value in ("y\r\nHost: z", "\n", "\r", "\x00", "\x7f", "\x1f", "\ud800", "\udfff"):
        assert not can_be_sent({"X": "y", "Y": value})
