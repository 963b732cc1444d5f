"""One request and its answer on a connection of aiohttp's, below its session.

The session makes a request, a response, a payload, a writer, a task and two multi-dictionaries for
each POST of a few hundred bytes: half of what a delivery cost a worker (ADR 11). Connections, TLS
and reading HTTP stay aiohttp's; what is sent are bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from errno import ECONNRESET
from functools import lru_cache
from typing import Any, cast

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import SERVER_SOFTWARE
from yarl import URL

from milepost.egress.connector import BoundedHandler, Call, GuardedConnector

MOST_HEADERS = 100
LONGEST_HEADER = 8190
_PIECE = 16 * 1024
_LONG = 64 * 1024
_WITHOUT_BODY = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent; ``headers``, names and values, are such that they can be (``can_be_sent``)."""

    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def parts(self, url: URL) -> tuple[bytes, ...]:
        """All of it. None is empty: asyncio's transports try to write such a one for ever."""
        head = self.head(url)
        return (head, self.body) if self.body else (head,)

    def head(self, url: URL) -> bytes:
        """Request line and headers; as in aiohttp's own, a value beyond ASCII goes as UTF-8."""
        own = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        ours = _ours(tuple(self.headers), self.method)
        length = f"Content-Length: {len(self.body)}\r\n" if self._has_body else ""
        return f"{self.method} {_where(url)}{own}{ours}{length}\r\n".encode()

    @property
    def _has_body(self) -> bool:
        return bool(self.body) or self.method not in _WITHOUT_BODY


class Answer:
    """An answer that has begun. Its connection is kept when it came whole, as soon as it did; what
    has not by ``close`` is closed."""

    def __init__(self, connection: Connection, message: Any, payload: aiohttp.StreamReader) -> None:
        self.status: int = message.code
        self.headers = message.headers
        self._connection = connection
        self._payload = payload
        payload.on_eof(self._came)

    async def read(self, most: int) -> tuple[bytes, bool]:
        """So many bytes of the body, and whether there is more of it."""
        body = bytearray()
        while len(body) <= most:
            piece = await self._payload.readany()
            if not piece:
                return bytes(body), False
            body += piece
        return bytes(body[:most]), True

    def close(self) -> None:
        """Nothing more of it is wanted."""
        self._connection.close()

    def _came(self) -> None:
        transport = self._connection.transport
        # Answered before it was sent: what is left of it would stand before the next request.
        if transport is not None and transport.get_write_buffer_size():
            self._connection.close()
        else:
            self._connection.release()


async def ask(connector: GuardedConnector, call: Call, request: Request) -> Answer:
    """Send a request and hear how its answer begins.

    Raises aiohttp.ClientError, HttpProcessingError where the answer is no HTTP, and what dialling
    raises. A request may have been sent where it raises.
    """
    connection = await connector.reach(call)
    try:
        protocol = cast(BoundedHandler, connection.protocol)
        protocol.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_PIECE,
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
        )
        transport = protocol.transport
        if transport is None or transport.is_closing():
            raise aiohttp.ClientOSError(ECONNRESET, "closed before anything was sent")
        if call.target.url.scheme == "https" and len(request.body) > _LONG:
            # How much of it is still to be sent can't be asked there when the answer came.
            protocol.force_close()
        # One system call, and no copy of a long body.
        transport.writelines(request.parts(call.target.url))
        while True:
            message, payload = await protocol.read()
            if not 100 <= message.code < 200 or message.code == 101:
                return Answer(connection, message, payload)
    except BaseException:
        connection.close()
        raise


@lru_cache(1024)
def _where(url: URL) -> str:
    return f"{url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n"


@lru_cache(1024)
def _ours(names: tuple[str, ...], method: str) -> str:
    """The headers that a request has besides, as aiohttp's own has them."""
    told = {name.lower() for name in names}
    added = {"Accept": "*/*", "User-Agent": SERVER_SOFTWARE}
    if method not in _WITHOUT_BODY:
        added["Content-Type"] = "application/octet-stream"
    return "".join(f"{name}: {one}\r\n" for name, one in added.items() if name.lower() not in told)
