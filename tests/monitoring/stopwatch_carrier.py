"""A carrier that keeps a ledger of when it was asked, by the kernel's clock at the socket.

So what it says about windows does not depend on how busy this machine makes the test itself.
"""

import re
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

SO_TIMESTAMPNS = 35
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Ledger:
    """Each request's arrival (seconds) and path, in order of arrival."""

    port: int = 0
    asked: list[tuple[float, str]] = field(default_factory=list)

    def most_in(self, seconds: float) -> int:
        """The most requests in any window of that length."""
        times = sorted(at for at, _ in self.asked)
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most

    def count(self, path: str) -> int:
        return sum(asked.startswith(path) for _, asked in self.asked)


Answering = Callable[[bytes, bytes], tuple[int, bytes]]
"""From a request's head and body to status and body of its answer."""


@contextmanager
def stopwatch_carrier(answering: Answering | None = None) -> Iterator[Ledger]:
    """A carrier that answers as ``answering`` says; else POST /token with a token that lasts a
    second, and all else with ``{}``."""
    ledger = Ledger()
    listener = socket.create_server(("127.0.0.1", 0))
    # Connections inherit it: set on them it would miss what comes with the handshake.
    listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    ledger.port = listener.getsockname()[1]
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(listener, ledger, stop, answering))
    thread.start()
    try:
        yield ledger
    finally:
        stop.set()
        thread.join()


def _serve(
    listener: socket.socket,
    ledger: Ledger,
    stop: threading.Event,
    answering: Answering | None,
) -> None:
    buffers: dict[socket.socket, bytes] = {}
    arrived: dict[socket.socket, float] = {}
    with selectors.DefaultSelector() as selector, listener:
        selector.register(listener, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in selector.select(0.1):
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(client, selectors.EVENT_READ)
                    buffers[client] = b""
                    continue
                client = key.fileobj  # type: ignore[assignment]
                try:
                    data, extra, _, _ = client.recvmsg(65536, 256)
                except ConnectionError:
                    data, extra = b"", []
                if not data:
                    selector.unregister(client)
                    client.close()
                    continue
                if not buffers[client]:
                    arrived[client] = _stamped(extra)
                buffers[client] = _answered(
                    client, buffers[client] + data, arrived, ledger, answering
                )
        for client in buffers:
            client.close()


def _stamped(extra: list[tuple[int, int, bytes]]) -> float:
    """When the kernel had it; the kernel switches its stamps on a moment after they are wanted."""
    for _, kind, stamp in extra:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", stamp)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


def _answered(
    client: socket.socket,
    data: bytes,
    arrived: dict[socket.socket, float],
    ledger: Ledger,
    answering: Answering | None,
) -> bytes:
    """Answers one request when it is whole; gives what is left over."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    if not end or len(body) < (int(length[1]) if length else 0):
        return data
    path = head.split(b" ", 2)[1].decode()
    ledger.asked.append((arrived[client], path))
    status, answer = 200, b"{}"
    if answering is not None:
        status, answer = answering(head, body)
    elif path.startswith("/token"):
        answer = b'{"access_token": "t%d", "expires_in": 1}' % len(ledger.asked)
    told = b"HTTP/1.1 %d told\r\nContent-Length: %d\r\n\r\n" % (status, len(answer))
    client.sendall(told + answer)
    return b""
