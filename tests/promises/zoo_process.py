"""Endpoints in a process of their own: what they cost must not be taken for the worker's.

``python -m tests.promises.zoo_process`` is told on its standard input which endpoints there are
({name: kind}), says where each is, and for each line more what came since the last.
"""

import asyncio
import json
import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from tests.egress.receivers import OK, Reader, Receiver, Serve, Writer, receiver
from tests.promises.zoo import KINDS, TAKES

ESTABLISHED = 1


def left(reader: Reader, writer: Writer) -> bool:
    """Whether the other side has left, be it noticed here or not: who floods reads late."""
    if reader.at_eof() or writer.is_closing():
        return True
    if not hasattr(socket, "TCP_INFO"):
        return False
    state: bytes = writer.get_extra_info("socket").getsockopt(
        socket.IPPROTO_TCP, socket.TCP_INFO, 1
    )
    return state[0] != ESTABLISHED


@dataclass
class Pen:
    """``arrived`` has (endpoint, event id, when) of those that work, since it was told last."""

    receivers: dict[str, Receiver] = field(default_factory=dict)
    arrived: list[tuple[str, str, float]] = field(default_factory=list)
    most_open: dict[str, int] = field(default_factory=dict)

    def news(self) -> dict[str, Any]:
        arrived, self.arrived = self.arrived, []
        is_open = [name for name, one in self.receivers.items() if one.open > 0]
        return {"open": is_open, "most_open": self.most_open, "arrived": arrived}

    def counted(self, name: str, serve: Serve) -> Serve:
        """Notes how many connections there were at once that the other side had not left."""
        here: list[tuple[Reader, Writer]] = []

        async def inner(made: Receiver, reader: Reader, writer: Writer) -> None:
            here.append((reader, writer))
            there = sum(not left(reader, writer) for reader, writer in here)
            self.most_open[name] = max(self.most_open.get(name, 0), there)
            await serve(made, reader, writer)

        return inner

    def takes(self, name: str) -> Serve:
        """Notes what comes and says yes."""

        async def serve(made: Receiver, reader: Reader, writer: Writer) -> None:
            while True:
                await made.next(reader)
                event = made.heads[-1].lower().partition(b"webhook-id: ")[2].split(b"\r\n")[0]
                self.arrived.append((name, event.decode(), monotonic()))
                # Nothing is remembered: the next thousands come.
                made.heads.clear()
                made.bodies.clear()
                writer.write(OK)
                await writer.drain()

        return serve


async def keep(wanted: Mapping[str, str], lines: asyncio.StreamReader) -> None:
    """Open, and tell what came, until nobody asks any more."""
    pen = Pen()
    async with AsyncExitStack() as stack:
        for name, kind in wanted.items():
            serve = pen.takes(name) if kind == TAKES else KINDS[kind]
            made = receiver(pen.counted(name, serve))
            pen.receivers[name] = await stack.enter_async_context(made)
        say({name: made.url for name, made in pen.receivers.items()})
        while await lines.readline():
            say(pen.news())


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


async def main() -> None:
    lines = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    await keep(json.loads(await lines.readline()), lines)


if __name__ == "__main__":
    asyncio.run(main())
