"""Endpoints of every manner behind one port: each answers as its path says and notes what came."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import web

EVER = 3600.0


@dataclass(frozen=True, slots=True)
class Got:
    """A request as it came."""

    at: float
    headers: Mapping[str, str]
    body: bytes


Behaviour = Callable[[web.Request, int], Awaitable[web.StreamResponse]]
"""What is answered to the n-th request, from 1."""


def answers(status: int, **headers: str) -> Behaviour:
    async def behave(request: web.Request, nth: int) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return behave


def fails(*which: int) -> Behaviour:
    """500 to the requests of these numbers, else 200."""

    async def behave(request: web.Request, nth: int) -> web.StreamResponse:
        return web.Response(status=500 if nth in which else 200)

    return behave


def waits(seconds: float) -> Behaviour:
    async def behave(request: web.Request, nth: int) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return web.Response()

    return behave


async def resets(request: web.Request, nth: int) -> web.StreamResponse:
    """At once."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def resets_in_body(request: web.Request, nth: int) -> web.StreamResponse:
    """Half of it came."""
    answer = web.StreamResponse(headers={"Content-Length": "99"})
    await answer.prepare(request)
    await answer.write(b"half")
    await asyncio.sleep(0.01)
    return await resets(request, nth)


@dataclass
class Endpoints:
    """``got`` by name; ``behaviours`` may be changed under way; ``arrives`` looks at each."""

    behaviours: dict[str, Behaviour]
    port: int = 0
    arrives: Callable[[str, Got], None] | None = None
    got: dict[str, list[Got]] = field(default_factory=lambda: defaultdict(list))

    def url(self, name: str) -> str:
        """On an address of its own: connections are kept for an address, not for a path."""
        address = f"127.0.1.{list(self.behaviours).index(name) + 1}"
        return f"http://{address}:{self.port}/{name.replace(' ', '_')}"

    async def take(self, request: web.Request) -> web.StreamResponse:
        """POST /{name}."""
        name = request.match_info["name"].replace("_", " ")
        body = await request.read()
        told = self.got[name]
        told.append(Got(monotonic(), dict(request.headers), body))
        if self.arrives is not None:
            self.arrives(name, told[-1])
        return await self.behaviours[name](request, len(told))


@asynccontextmanager
async def endpoints(behaviours: Mapping[str, Behaviour]) -> AsyncIterator[Endpoints]:
    """Listening on loopback."""
    made = Endpoints(dict(behaviours))
    app = web.Application()
    app.router.add_post("/{name}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
