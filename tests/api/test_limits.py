"""Slow and huge requests are cut, by a real server on real sockets (promise P16, short form)."""

import base64
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.live_server import Client, Server, running

HEADER_SECONDS, BODY_SECONDS = 1.0, 1.5
MARGIN = 10.0
PATIENCE = 15.0
"""Seconds: more than a bound and its margin, so that what is not cut is seen."""
POST = "/api/v3/parcels/tracking"

pytestmark = [pytest.mark.promise, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(
        MILEPOST_HEADER_SECONDS=str(HEADER_SECONDS), MILEPOST_BODY_SECONDS=str(BODY_SECONDS)
    ) as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.account("limits")


class Line:
    """One connection, spoken to in bytes."""

    def __init__(self, client: Client) -> None:
        self._socket = socket.create_connection(("127.0.0.1", client.port))
        self._socket.settimeout(PATIENCE)
        self._user = base64.b64encode(client.user.encode())

    def head(self, method: str, path: str, *lines: bytes) -> bytes:
        own = [b"Host: milepost", b"Authorization: Basic " + self._user, *lines]
        start = f"{method} {path} HTTP/1.1".encode()
        return b"\r\n".join([start, *own, b"", b""])

    def say(self, sent: bytes) -> bool:
        """False when the server has hung up."""
        try:
            self._socket.sendall(sent)
        except OSError:
            return False
        return True

    def hear(self) -> bytes:
        """Everything until the server hangs up; TimeoutError if it does not."""
        heard = b""
        try:
            while piece := self._socket.recv(65536):
                heard += piece
        except ConnectionError:
            pass
        return heard

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def status_of(heard: bytes) -> int:
    return int(heard.split(b" ", 2)[1]) if heard else 0


def still_serves(client: Client) -> bool:
    return client.get(POST + "/X").status == 404


def test_nothing_said(client: Client) -> None:
    with Line(client) as line:
        began = time.monotonic()
        assert line.hear() == b""
        assert time.monotonic() - began < HEADER_SECONDS + MARGIN


def test_idle_after_an_answer(client: Client) -> None:
    with Line(client) as line:
        began = time.monotonic()
        line.say(line.head("GET", POST + "/X"))
        assert status_of(line.hear()) == 404
        assert time.monotonic() - began < HEADER_SECONDS + MARGIN


def test_dribbled_headers(client: Client) -> None:
    with Line(client) as line:
        began = time.monotonic()
        for byte in line.head("GET", POST + "/X", b"X: " + b"y" * 1000):
            if not line.say(bytes([byte])) or time.monotonic() - began > PATIENCE:
                break
            time.sleep(0.02)
        assert time.monotonic() - began < HEADER_SECONDS + MARGIN


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_dribbled_bodies(client: Client, framing: bytes) -> None:
    with Line(client) as line:
        began = time.monotonic()
        line.say(line.head("POST", POST, b"Content-Type: application/json", framing))
        piece = b" " if framing.startswith(b"Content") else b"1\r\n \r\n"
        while line.say(piece) and time.monotonic() - began < PATIENCE:
            time.sleep(0.05)
        took = time.monotonic() - began
        assert BODY_SECONDS - 0.1 < took < BODY_SECONDS + MARGIN


def test_a_body_that_stops_is_told(client: Client) -> None:
    with Line(client) as line:
        line.say(line.head("POST", POST, b"Content-Length: 1000") + b"{")
        heard = line.hear()
        assert status_of(heard) == 408
        assert heard.endswith(b'{"detail":"Request Timeout"}')
        assert b"connection: close" in heard.lower()


def test_many_slow_ones_do_not_slow_the_others(client: Client) -> None:
    lines = [Line(client) for _ in range(100)]
    try:
        for line in lines:
            line.say(line.head("POST", POST, b"Content-Length: 1000") + b"{")
        began = time.monotonic()
        assert all(still_serves(client) for _ in range(20))
        assert time.monotonic() - began < 60
        with ThreadPoolExecutor(20) as threads:
            heard = list(threads.map(Line.hear, lines))
        assert {status_of(one) for one in heard} == {408}
    finally:
        for line in lines:
            line.__exit__()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_one_mebibyte(client: Client, chunked: bool) -> None:
    with Line(client) as line:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1048577"
        line.say(line.head("POST", POST, b"Content-Type: application/json", framing))
        piece = b" " * 65536
        for _ in range(40):
            if not line.say(b"10000\r\n" + piece + b"\r\n" if chunked else piece):
                break
        heard = line.hear()
        # A client that is still sending may find the line cut before it reads why.
        assert status_of(heard) in (413, 0)
    assert still_serves(client)


def test_exactly_one_mebibyte_is_read(client: Client) -> None:
    got = client.ask("POST", POST, b" " * 1_048_576, {"Content-Type": "application/json"})
    assert (got.status, got.document["detail"][0]["type"]) == (422, "missing")
    over = client.ask("POST", POST, b" " * 1_048_577, {"Content-Type": "application/json"})
    assert over.status == 413
    assert "detail" in over.document


@pytest.mark.parametrize("framing", ["at once", "in chunks"])
def test_a_client_that_sends_everything_before_it_reads_is_told(
    client: Client, framing: str
) -> None:
    for _ in range(5):
        with Line(client) as line:
            body = b" " * 5_000_000
            if framing == "at once":
                length = b"Content-Length: %d" % len(body)
            else:
                length = b"Transfer-Encoding: chunked"
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            assert line.say(line.head("POST", POST, b"Connection: close", length))
            assert line.say(body)
            assert status_of(line.hear()) == 413


def test_a_client_that_waits_for_leave_to_send_is_refused_at_once(client: Client) -> None:
    with Line(client) as line:
        framing = (b"Content-Length: 2000000", b"Expect: 100-continue")
        line.say(line.head("POST", POST, *framing))
        assert status_of(line.hear()) == 413


@pytest.mark.parametrize("path", [POST, "/oauth2/token"])
def test_chunks_that_are_none(client: Client, path: str) -> None:
    with Line(client) as line:
        line.say(line.head("POST", path, b"Transfer-Encoding: chunked") + b"zz\r\n")
        assert status_of(line.hear()) == 400
    assert still_serves(client)


def test_long_headers(client: Client) -> None:
    got = client.get(POST + "/X", {"X-Long": "y" * 33_000})
    assert (got.status, got.document) == (431, {"detail": "Request Header Fields Too Large"})
    assert client.get(POST + "/X", {"X-Long": "y" * 31_000}).status == 404
    assert client.get(POST + "/X", {"X-Huge": "y" * 1_000_000}).status == 431
    many = client.get(POST + "/X", {f"X-{number}": "y" for number in range(120)})
    assert many.status == 431


def test_long_addresses(client: Client) -> None:
    got = client.get(POST + "/" + "x" * 9_000)
    assert (got.status, got.document) == (414, {"detail": "Request-URI Too Long"})
    assert client.get("/api/v2/tracking/" + "x" * 9_000).status == 414
    assert client.get("/api/v2/tracking/" + "x" * 7_000).status == 404
    # Far beyond, the server itself refuses, and counts the address among the headers.
    assert client.get("/api/v2/tracking/x?" + "y" * 1_000_000).status in (414, 431)


def test_a_second_request_can_not_hide(client: Client) -> None:
    """With a length and chunks, the first answer is the last and the connection is closed."""
    with Line(client) as line:
        framing = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
        hidden = line.head("GET", "/api/v2/parcels/statuses")
        line.say(line.head("POST", POST, *framing) + b"0\r\n\r\n" + hidden)
        heard = line.hear()
        assert heard.count(b"HTTP/1.1 ") == 1
        assert 400 <= status_of(heard) < 500


def test_two_lengths(client: Client) -> None:
    with Line(client) as line:
        line.say(line.head("POST", POST, b"Content-Length: 5", b"Content-Length: 6") + b"{}    ")
        assert status_of(line.hear()) == 400


def test_a_length_that_is_none(client: Client) -> None:
    for length in (b"-1", b"+5", b"0x5", b"5, 6", b"9" * 30):
        with Line(client) as line:
            line.say(line.head("POST", POST, b"Content-Length: " + length) + b"{}    ")
            assert status_of(line.hear()) in (400, 413)
    assert still_serves(client)


def test_deep_json(client: Client) -> None:
    got = client.ask("POST", POST, b"[" * 1_000_000, {"Content-Type": "application/json"})
    assert (got.status, got.document["detail"][0]["type"]) == (422, "json_invalid")
