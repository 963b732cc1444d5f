"""A small server that speaks DHL's Shipment Tracking - Unified, for tests over a real socket.

It checks the key, keeps a ledger of what it was asked, counts a quota, and can be told to be slow,
broken or odd. Shipments are given as documents by tracking number.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

API_KEY = "test-key-51f0c2"
HOST = "api-eu.dhl.com"


@dataclass
class DhlServer:
    """What the server knows and what it saw; change it while it runs."""

    shipments: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    calls_left: int = 1_000_000
    retry_after: str = "7"
    mood: str = ""
    base_url: str = ""
    asked: list[Mapping[str, str]] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)

    @property
    def routes(self) -> Mapping[str, str]:
        """For the fetcher: DHL's documented host leads here."""
        return {HOST: self.base_url}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """GET /track/shipments."""
        self.asked.append({**request.query, "key": request.headers.get("DHL-API-Key", "")})
        self.connections.add(request.transport)
        if request.headers.get("DHL-API-Key") != API_KEY:
            return problem(401, "Unauthorized", "Unauthorized for given resource.")
        if self.calls_left < 1:
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return problem(429, "Too Many Requests", "Quota exceeded.", headers)
        self.calls_left -= 1
        if odd := await self._in_a_mood():
            return odd
        number = request.query.get("trackingNumber", "")
        if not number:
            return problem(400, "Bad Request", "trackingNumber is required.")
        document = self.shipments.get(number)
        if document is None:
            detail = "No shipment with given tracking number found."
            return problem(404, "No result found", detail)
        return web.json_response(document)

    async def _in_a_mood(self) -> web.Response | None:
        match self.mood:
            case "slow":
                await asyncio.sleep(5)
            case "down":
                return problem(500, "Internal Server Error", "Try later.")
            case "maintenance":
                return web.Response(text="<html>Back soon</html>", content_type="text/html")
            case "cut":
                return web.Response(
                    body=b'{"shipments": [{"id": "1', content_type="application/json"
                )
            case "huge":
                return web.Response(body=b" " * 3_000_000, content_type="application/json")
            case "moved":
                return web.Response(status=302, headers={"Location": "http://127.0.0.1:1/stolen"})
            case "proxy":
                return web.Response(status=404, text="<html>no route</html>")
            case "empty":
                return web.json_response({"shipments": []})
        return None


def problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps({"status": status, "title": title, "detail": detail}),
        content_type="application/problem+json",
        headers=headers,
    )


@asynccontextmanager
async def dhl_server() -> AsyncIterator[DhlServer]:
    """A running server on a free loopback port."""
    server = DhlServer()
    app = web.Application()
    app.router.add_get("/track/shipments", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
