"""/, /openapi.json and /docs. The page's script and style come from an installed package and from
here: no browser of ours ever asks a stranger's server."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from milepost.api.openapi import describe

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Milepost API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null
});
"""
# Swagger UI writes style attributes; scripts come from our own files alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}


def add_to(api: FastAPI, public_url: str) -> None:
    """Serve the description of ``api`` and the page that shows it.

    ``public_url`` is where clients reach us; empty: wherever they found the description.
    """
    known: dict[str, bytes] = {}

    async def description(_: Request) -> Response:
        if "described" not in known:
            known["described"] = orjson.dumps(describe(api, public_url))
        return Response(known["described"], media_type="application/json")

    assets = Path(str(files("fastapi_offline"))) / "static"
    api.router.routes += [
        Route("/openapi.json", description),
        Route("/docs", _constant(_PAGE, "text/html")),
        Route("/docs/start.js", _constant(_START, "text/javascript")),
        Mount("/docs/assets", StaticFiles(directory=assets)),
    ]


def greet(api: FastAPI, *, described: bool) -> None:
    """Say at ``/`` whose door this is, and where its description lies, if it is served."""
    told = {"name": api.title}
    if described:
        told |= {"version": api.version, "docs": "/docs", "openapi": "/openapi.json"}
    answer = orjson.dumps(told)

    async def front(_: Request) -> Response:
        return Response(answer, media_type="application/json")

    api.router.routes.append(Route("/", front))


def _constant(text: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        return Response(text, media_type=media_type, headers=_HEADERS)

    return serve
