"""Endpoints of subscribers: some take what they are told, the others are broken in every way."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from time import monotonic

from tests.egress.receivers import (
    CHUNKED,
    OK,
    Reader,
    Receiver,
    Serve,
    Writer,
    floods,
    never_reads,
    receiver,
    resets,
    says,
)


async def stalls(made: Receiver, reader: Reader, writer: Writer) -> None:
    """Takes a ClientHello and says nothing until the other side has enough of it."""
    await reader.read()


LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
EVER = 3600.0
HANGING: Mapping[str, Serve] = {
    "hangs": says(then=EVER),
    "drips a byte a second": says(LONG, *[b"x"] * 3600, pause=1),
    "drips its head": says(*[b"H", b"T", b"T", b"P"] * 900, pause=1),
    "says more will come": says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", then=EVER),
    "never reads": never_reads,
    "stalls TLS": stalls,
}
"""Nothing comes of them until time is up."""
FAILING: Mapping[str, Serve] = {
    "resets": resets,
    "closes": says(),
    "lies about its length": says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"),
    "interim answers without end": floods(b"", b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" * 99),
    "headers without end": floods(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 999),
    "redirects": says(
        b"HTTP/1.1 302 F\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    ),
    "fails": says(b"HTTP/1.1 500 F\r\nContent-Length: 900000\r\n\r\n", b"no" * 450_000),
    "a gigabyte of failure": floods(LONG.replace(b"200 OK", b"500 No"), b"x" * 65536),
    "no end of failure": floods(CHUNKED.replace(b"200 OK", b"500 No"), b"1\r\nx\r\n" * 9999),
    "has no name": says(),
}
"""They fail at once."""
NOBODY = "http://no-such-name.invalid/hook"


@dataclass
class Zoo:
    """``arrived`` has (endpoint, event id) and when it came, of those that work."""

    healthy: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    receivers: dict[str, Receiver] = field(default_factory=dict)
    arrived: dict[tuple[str, str], float] = field(default_factory=dict)
    most_open: dict[str, int] = field(default_factory=dict)

    async def hung(self, wanted: int, seconds: float = 30) -> int:
        """How many of the broken ones have somebody waiting, ``wanted`` or after ``seconds``."""
        end = monotonic() + seconds
        while True:
            hung = sum(self.receivers[name].open > 0 for name in self.broken)
            if hung == wanted or monotonic() > end:
                return hung
            await asyncio.sleep(0.01)

    async def missing(self, events: Collection[str], seconds: float) -> int:
        """How many of ``events`` have not come where they could; waits for ``seconds``."""
        end = monotonic() + seconds
        wanted = {(name, event) for name in self.healthy for event in events}
        while not wanted <= self.arrived.keys() and monotonic() < end:
            await asyncio.sleep(0.01)
        return len(wanted - self.arrived.keys())

    def counted(self, name: str, serve: Serve) -> Serve:
        """Notes how many connections there were at once that the other side had not left."""
        here: list[tuple[Reader, Writer]] = []

        async def inner(made: Receiver, reader: Reader, writer: Writer) -> None:
            here.append((reader, writer))
            left = sum(r.at_eof() or w.is_closing() for r, w in here)
            self.most_open[name] = max(self.most_open.get(name, 0), len(here) - left)
            await serve(made, reader, writer)

        return inner

    def takes(self, name: str) -> Serve:
        """Notes what comes and says yes."""

        async def serve(made: Receiver, reader: Reader, writer: Writer) -> None:
            while True:
                await made.next(reader)
                event = made.heads[-1].lower().partition(b"webhook-id: ")[2].split(b"\r\n")[0]
                self.arrived.setdefault((name, event.decode()), monotonic())
                writer.write(OK)
                await writer.drain()

        return serve


@asynccontextmanager
async def zoo(healthy: int, kinds: Mapping[str, Serve], broken: int) -> AsyncIterator[Zoo]:
    """So many of each, the broken ones of these kinds in turns."""
    made = Zoo()
    async with AsyncExitStack() as stack:

        async def opened(name: str, serve: Serve) -> str:
            made.receivers[name] = await stack.enter_async_context(
                receiver(made.counted(name, serve))
            )
            return made.receivers[name].url

        for nth, (kind, serve) in enumerate(islice(cycle(kinds.items()), broken)):
            name = f"{kind} {nth}"
            url = await opened(name, serve)
            if kind == "stalls TLS":
                url = url.replace("http:", "https:")
            made.broken[name] = NOBODY if kind == "has no name" else url
        for nth in range(healthy):
            name = f"takes {nth}"
            made.healthy[name] = await opened(name, made.takes(name))
        yield made
