"""What is sent, to the byte, and when a connection is kept."""

import asyncio
import ssl
from pathlib import Path

import pytest
from aiohttp.http import SERVER_SOFTWARE
from tests.cli.certificates import self_signed
from tests.egress.receivers import HERE, OK, Reader, Receiver, Writer, fine, receiver
from yarl import URL

from milepost.egress.client import Bounds, GuardedClient
from milepost.egress.connector import GuardedConnector
from milepost.egress.exchange import Request
from milepost.egress.outcomes import Answered

AGENT = "User-Agent: us"


@pytest.mark.parametrize(
    ("request_", "lines"),
    [
        pytest.param(
            Request("POST", {"user-agent": "us", "Content-Type": "a/b"}, b"four"),
            ["user-agent: us", "Content-Type: a/b", "Accept: */*", "Content-Length: 4"],
            id="body",
        ),
        pytest.param(
            Request("POST", {"User-Agent": "us", "accept": "x"}, b""),
            [AGENT, "accept: x", "Content-Type: application/octet-stream", "Content-Length: 0"],
            id="no body",
        ),
        pytest.param(Request("GET", {"User-Agent": "us"}, b""), [AGENT, "Accept: */*"], id="get"),
    ],
)
def test_the_head_of_a_request(request_: Request, lines: list[str]) -> None:
    head = request_.head(URL("http://[::1]:81/a b?c=d%2Fe#f")).decode()
    first = f"{request_.method} /a%20b?c=d/e HTTP/1.1"
    assert head.split("\r\n") == [first, "Host: [::1]:81", *lines, "", ""]


def test_a_usual_port_is_not_named() -> None:
    head = Request("GET", {}, b"").head(URL("https://shop.example"))
    assert head.startswith(b"GET / HTTP/1.1\r\nHost: shop.example\r\n")
    assert f"\r\nUser-Agent: {SERVER_SOFTWARE}\r\n".encode() in head


def test_no_part_of_a_request_is_empty() -> None:
    """From 3.12 on asyncio keeps what is empty to be written, and a core busy with that."""
    url = URL("https://shop.example")
    for body in (b"", b"{}"):
        request = Request("POST", {}, body)
        assert all(request.parts(url))
        assert b"".join(request.parts(url)) == request.head(url) + body


async def answers_early(made: Receiver, reader: Reader, writer: Writer) -> None:
    await reader.readexactly(1)
    writer.write(OK)
    await writer.drain()
    await asyncio.sleep(3600)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_what_was_answered_before_it_was_sent_is_not_kept(
    is_tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of it would stand before the next request, which may be another account's."""
    there = trusted(tmp_path, monkeypatch) if is_tls else None
    async with (
        GuardedClient(HERE, Bounds(total_seconds=60)) as client,
        receiver(answers_early, tls=there) as made,
    ):
        # More than the buffers of both ends take.
        assert isinstance(await client.send(made.url, bytes(30_000_000)), Answered)
        assert isinstance(await client.send(made.url, b"{}"), Answered)
        assert made.sockets == 2


async def test_what_was_sent_before_it_was_answered_is_kept() -> None:
    async with GuardedClient(HERE) as client, receiver(fine) as made:
        for length in (0, 3, 100_000):
            assert isinstance(await client.send(made.url, bytes(length)), Answered)
        assert made.sockets == 1
        assert list(map(len, made.bodies)) == [0, 3, 100_000]


async def test_over_tls_a_connection_is_kept_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = trusted(tmp_path, monkeypatch)
    async with GuardedClient(HERE) as client, receiver(fine, tls=there) as made:
        for length in (0, 3, 30_000):
            assert isinstance(await client.send(made.url, bytes(length)), Answered)
        assert made.sockets == 1
        assert list(map(len, made.bodies)) == [0, 3, 30_000]


def trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A receiver's end of TLS; that it is who it says is believed."""
    certificate, key = self_signed(folder)
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(certificate, key)
    here = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(GuardedConnector, "_get_ssl_context", lambda _self, _request: here)
    return there
