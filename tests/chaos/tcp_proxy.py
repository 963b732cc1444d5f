"""A TCP proxy in front of PostgreSQL's socket that makes the network as slow as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Proxy:
    """``delay`` is what one direction takes longer, in seconds; change it at any time."""

    target: Path
    port: int = 0
    delay: float = 0.0

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        try:
            there = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(self._carry(reader, there[1])),
            asyncio.create_task(self._carry(there[0], writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, there[1]):
                end.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A piece that waits holds up those behind it, as a longer way does not: pieces are small
        and few, for every statement waits for its answer."""
        with suppress(OSError):
            while piece := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def tcp_proxy(target: Path) -> AsyncIterator[Proxy]:
    """A proxy on a free loopback port to the Unix socket ``target``."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.join, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
