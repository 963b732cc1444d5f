"""Receivers on real sockets, each wrong in its own way."""

import asyncio
import contextlib
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from milepost.egress.policy import Policy
from milepost.settings import Settings

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
HERE = Policy.of(Settings(egress_allow="127.0.0.0/8:*, localhost:*"))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BOMB = gzip.compress(bytes(50_000_000))
"""50 MB in 49 kB."""


@dataclass(slots=True)
class Receiver:
    """``heads`` are the requests that came, ``bodies`` what they held; ``sockets`` counts."""

    url: str = ""
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    sockets: int = 0
    most_open: int = 0
    open: int = 0

    async def next(self, reader: Reader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        self.bodies.append(await reader.readexactly(int(length or 0)))
        self.heads.append(head)


Serve = Callable[[Receiver, Reader, Writer], Awaitable[None]]


@contextlib.asynccontextmanager
async def receiver(
    serve: Serve, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """``serve`` for each connection, which ends with it."""
    made = Receiver()
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: Reader, writer: Writer) -> None:
        made.sockets += 1
        made.open += 1
        made.most_open = max(made.most_open, made.open)
        try:
            await serve(made, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            made.open -= 1
            writer.close()

    def accepted(reader: Reader, writer: Writer) -> None:
        if not server.is_serving():
            # It was under way while the others were ended, and nobody would end it.
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(connected(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accepted, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    made.url = f"http://{host}:{port}/hook" if tls is None else f"https://localhost:{port}/hook"
    try:
        yield made
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def fine(made: Receiver, reader: Reader, writer: Writer) -> None:
    while True:
        await made.next(reader)
        writer.write(OK)
        await writer.drain()


def says(*parts: bytes, pause: float = 0, then: float = 0) -> Serve:
    """Reads a request, writes the parts with pauses, waits, and closes."""

    async def serve(made: Receiver, reader: Reader, writer: Writer) -> None:
        await made.next(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        await asyncio.sleep(then)

    return serve


def floods(first: bytes, piece: bytes) -> Serve:
    """Begins, and goes on for as long as anybody listens."""

    async def serve(made: Receiver, reader: Reader, writer: Writer) -> None:
        await made.next(reader)
        writer.write(first)
        while True:
            writer.write(piece)
            await writer.drain()

    return serve


async def resets(made: Receiver, reader: Reader, writer: Writer) -> None:
    """Half an answer, and then RST."""
    await made.next(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.transport.abort()


async def never_reads(made: Receiver, reader: Reader, writer: Writer) -> None:
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(60)


async def silent(made: Receiver, reader: Reader, writer: Writer) -> None:
    await asyncio.sleep(60)
