"""Simulated carriers, served on a loopback port by the process that asks them.

They are asked over real HTTP, by the same connector, fetcher and record as a real carrier.
"""

import math
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import orjson
from aiohttp import web

from milepost.carriers.registry import Catalogue
from milepost.carriers.stories import Script, read_script, tell

LONGEST_OFFSET = 10 * 366 * 86_400.0
Clock = Callable[[], datetime]


def real_time() -> datetime:
    """Now (UTC)."""
    return datetime.now(UTC)


@asynccontextmanager
async def simulator(
    catalogue: Catalogue, clock: Clock = real_time
) -> AsyncIterator[Mapping[str, str]]:
    """Serve every simulated carrier of ``catalogue``; gives the routes for the fetcher."""
    scripts = {
        carrier.manifest.code: read_script(carrier.folder / carrier.manifest.stories)
        for carrier in catalogue
        if carrier.manifest.simulated
    }
    runner = web.AppRunner(_app(scripts, clock), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield {
            carrier.manifest.api.host: f"http://127.0.0.1:{port}/{carrier.manifest.code}"
            for carrier in catalogue
            if carrier.manifest.simulated and carrier.manifest.api
        }
    finally:
        await runner.cleanup()


def _app(scripts: Mapping[str, Script], clock: Clock) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        script = scripts.get(request.match_info["carrier"])
        begin = _time(request.query.get("announced_at", ""))
        if script is None or begin is None:
            return _json(400, {"error": "bad_request"})
        telling = tell(
            script,
            request.match_info["number"],
            begin,
            clock(),
            offset=timedelta(seconds=_number(request, "Sandbox-Clock-Offset", LONGEST_OFFSET)),
            speed=_number(request, "Sandbox-Speed", 1e6) or 1.0,
        )
        return _json(telling.status, telling.document)

    app = web.Application()
    app.router.add_get("/{carrier}/v1/parcels/{number}", answer)
    return app


def _json(status: int, document: Mapping[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo and 1990 <= moment.year < 2100 else None


def _number(request: web.Request, header: str, largest: float) -> float:
    try:
        number = float(request.headers.get(header, "0"))
    except ValueError:
        return 0.0
    return max(-largest, min(number, largest)) if math.isfinite(number) else 0.0
