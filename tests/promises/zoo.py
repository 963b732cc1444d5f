"""Endpoints of subscribers: some take what they are told, the others are broken in every way."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from time import monotonic
from typing import Any

from tests.egress.receivers import (
    CHUNKED,
    Reader,
    Receiver,
    Serve,
    Writer,
    floods,
    never_reads,
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
KINDS = {**HANGING, **FAILING}
TAKES = "takes"
NOBODY = "http://no-such-name.invalid/hook"


@dataclass
class Zoo:
    """``arrived`` has (endpoint, event id) and when it came, of those that work.

    It and ``open``, those that somebody is connected to, are as of the last ``look``.
    """

    healthy: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    arrived: dict[tuple[str, str], float] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    most_open: dict[str, int] = field(default_factory=dict)
    pens: list[Process] = field(default_factory=list)

    async def look(self) -> None:
        """What came since."""
        self.open.clear()
        for pen in self.pens:
            told = await _asked(pen, None)
            self.open |= {*told["open"]}
            self.most_open |= told["most_open"]
            for name, event, at in told["arrived"]:
                self.arrived.setdefault((name, event), at)

    async def hung(self, wanted: int, seconds: float = 120) -> int:
        """How many of the broken ones have somebody waiting, ``wanted`` or after ``seconds``."""
        end = monotonic() + seconds
        while True:
            await self.look()
            hung = len(self.open & self.broken.keys())
            if hung == wanted or monotonic() > end:
                return hung
            await asyncio.sleep(0.05)

    async def missing(self, events: Collection[str], seconds: float) -> int:
        """How many of ``events`` have not come where they could; waits for ``seconds``."""
        end = monotonic() + seconds
        wanted = {(name, event) for name in self.healthy for event in events}
        await self.look()
        while not wanted <= self.arrived.keys() and monotonic() < end:
            await asyncio.sleep(0.05)
            await self.look()
        return len(wanted - self.arrived.keys())


@asynccontextmanager
async def zoo(healthy: int, kinds: Mapping[str, Serve], broken: int) -> AsyncIterator[Zoo]:
    """So many of each, the broken ones of these kinds in turns.

    Those that work have a process of their own as well: they are not to wait for those that flood.
    """
    made = Zoo()
    works = {f"{TAKES} {nth}": TAKES for nth in range(healthy)}
    broke = {f"{kind} {nth}": kind for nth, kind in enumerate(islice(cycle(kinds), broken))}
    async with AsyncExitStack() as stack:
        made.pens = [await stack.enter_async_context(_pen()) for one in (works, broke) if one]
        urls: dict[str, str] = {}
        for pen, wanted in zip(made.pens, filter(None, (works, broke)), strict=True):
            urls |= await _asked(pen, wanted)
        made.healthy = {name: urls[name] for name in works}
        made.broken = {name: _given(kind, urls[name]) for name, kind in broke.items()}
        yield made


def _given(kind: str, url: str) -> str:
    if kind == "stalls TLS":
        return url.replace("http:", "https:")
    return NOBODY if kind == "has no name" else url


@asynccontextmanager
async def _pen() -> AsyncIterator[Process]:
    words = (sys.executable, "-m", "tests.promises.zoo_process")
    pen = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, limit=2**26)
    try:
        yield pen
    finally:
        if pen.returncode is None:
            pen.kill()
        await pen.wait()


async def _asked(pen: Process, what: Any) -> Any:
    assert pen.stdin is not None
    assert pen.stdout is not None
    pen.stdin.write(json.dumps(what).encode() + b"\n")
    return json.loads(await pen.stdout.readline())
