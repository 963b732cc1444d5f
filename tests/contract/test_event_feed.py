"""The event feed over a real server: what a client with a socket meets."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from tests.live_server import Answer, Client, Server

EVENTS = "/api/milepost/v1/events"
TRACKING = "/api/v3/parcels/tracking"


@pytest.fixture(scope="module")
def reader(server: Server) -> Client:
    return server.account("reader", reads=1000)


@contextmanager
def stream(client: Client, query: str = "") -> Iterator[socket.socket]:
    login = base64.b64encode(client.user.encode()).decode()
    request = (
        f"GET {EVENTS}{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {login}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as connection:
        connection.sendall(request.encode())
        yield connection


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def test_a_stream_tells_of_a_registration_and_costs_one_read(
    reader: Client, fresh: Callable[[dict[str, Any]], dict[str, Any]], minimal: dict[str, Any]
) -> None:
    with stream(reader, "?after=latest") as connection:
        head = read_until(connection, b"id: ")
        assert b"200 OK" in head
        assert b"text/event-stream" in head
        left = int(head.lower().partition(b"ratelimit-remaining: ")[2].split()[0])
        body = fresh(minimal)
        number = body["tracking_number"]["tracking_number"]
        assert reader.post(TRACKING, body).status == 200
        assert b"parcels.event.created" in read_until(connection, number.encode())
    after = reader.get(f"{EVENTS}?after=latest")
    # A minute later the stream would not count any more.
    assert left - 1 <= int(after.headers["ratelimit-remaining"]) <= left


def test_a_long_poll_is_woken(
    reader: Client, fresh: Callable[[dict[str, Any]], dict[str, Any]], minimal: dict[str, Any]
) -> None:
    cursor = reader.get(f"{EVENTS}?after=latest").document["next_cursor"]
    got: list[Answer] = []
    asking = threading.Thread(
        target=lambda: got.append(reader.get(f"{EVENTS}?after={cursor}&wait=25"))
    )
    asking.start()
    assert reader.post(TRACKING, fresh(minimal)).status == 200
    asking.join()
    assert got[0].document["data"]


def test_who_leaves_makes_room(server: Server) -> None:
    """Twenty may listen; the place of one that hung up is another's."""
    # Nobody else's stream may still be here, on its way out.
    reader = server.account("listeners")
    with ExitStack() as listening:
        for _ in range(20):
            read_until(listening.enter_context(stream(reader)), b"retry: ")
        with stream(reader) as connection:
            assert b" 429 " in read_until(connection, b"\r\n\r\n")
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with stream(reader) as connection:
            if b" 200 " in read_until(connection, b"\r\n\r\n"):
                return
    raise AssertionError("nobody has left")
