"""A subscriber that costs little: ``python -m bench.receiver PORT``.

It thanks for every POST, but never answers one to ``/hang``. ``/told`` says how many came, and when
the first byte of each came by its ``webhook-id``; ``/count`` begins anew.
"""

import asyncio
import re
import sys
import time

import orjson
import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)
_THANKS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Told:
    """What came, over all connections."""

    def __init__(self) -> None:
        self.count = 0
        self.at: dict[str, float] = {}


class Exchange(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._received = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._received:
            self._began = time.time()
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        told = self._told
        path = head.partition(b" ")[2].partition(b" ")[0]
        if path in (b"/told", b"/count"):
            body = orjson.dumps({"count": told.count, "at": told.at})
            if path == b"/count":
                told.count, told.at = 0, {}
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        elif head.startswith(b"POST"):
            told.count += 1
            if (named := _ID.search(head)) is not None:
                told.at.setdefault(named[1].decode(), self._began)
            if not path.startswith(b"/hang"):
                self._write(_THANKS)
        else:
            self._write(_THANKS)

    def _write(self, data: bytes) -> None:
        self._transport.write(data)  # type: ignore[attr-defined]


async def _serve(port: int) -> None:
    told = Told()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Exchange(told), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
