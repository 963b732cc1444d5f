"""The protocol over HTTP: who calls is asked before anything is read, every answer is JSON.

Each request stands alone (no sessions) and carries its client's own credentials, which the API
judges; a browser page of a stranger is stopped by the Host and Origin checks of the SDK.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mcp.server.transport_security import TransportSecuritySettings

from milepost.accounts.recent import Recent
from milepost.mcp.api_client import Api, Refusal, api_at
from milepost.mcp.server import build
from milepost.settings import Settings

PATH = "/mcp"
BELIEVED_SECONDS = 30.0
"""A key that the API accepted is not asked about again for so long; every call of a tool is."""
CHECK = "/api/v3/parcels/statuses"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class HttpDoor:
    """An ASGI app in front of the SDK's: credentials, method, path and time."""

    def __init__(self, url: str, settings: Settings) -> None:
        """``url`` is the API's."""
        self._url = url
        self._seconds = settings.body_seconds + settings.request_seconds
        self._accepted: Recent[bool] = Recent(BELIEVED_SECONDS)
        self._inside: App = build(url).streamable_http_app(
            streamable_http_path=PATH,
            json_response=True,
            stateless_http=True,
            max_request_body_size=settings.max_body_bytes,
            transport_security=security(settings.mcp_hosts),
        )

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        began = False

        async def note(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._let_in(scope, receive, note)
        except Refusal as refused:
            await _refuse(send, refused)
        except TimeoutError:
            if not began:
                await _refuse(send, Refusal("The request took too long", 503, 1))

    async def _let_in(self, scope: Message, receive: Receive, send: Send) -> None:
        await self._check(scope)
        if scope["path"] != PATH:
            raise Refusal(f"There is only {PATH}", 404)
        # Without sessions there is no stream to listen to and none to end.
        if scope["method"] != "POST":
            raise Refusal("Only POST is served", 405)
        await self._inside(scope, receive, send)

    async def _check(self, scope: Message) -> None:
        """Raises Refusal (401, 403, 503) unless the API knows the caller."""
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            raise Refusal("Send your API key or access token as the one Authorization header", 401)
        digest = hashlib.blake2b(given[0], digest_size=32).digest()
        await self._accepted.find(digest, lambda: self._ask(given[0].decode("latin-1")))

    async def _ask(self, authorization: str) -> bool:
        async with api_at(self._url) as api:
            return await _accepts(api, authorization)


async def _accepts(api: Api, authorization: str) -> bool:
    try:
        await api.get(authorization, CHECK)
    except Refusal as refused:
        # Over budget is somebody we know; the tool itself will be told how long to wait.
        if refused.status == 429:
            return True
        if refused.status in (401, 403):
            raise
        raise Refusal(str(refused), 503, refused.retry_after or 2) from refused
    return True


def security(named: str) -> TransportSecuritySettings:
    """Only loopback and the names the operator gave (with commas) are us."""
    names = [*_LOOPBACK, *(name.strip() for name in named.split(",") if name.strip())]
    hosts = [f"{name}{port}" for name in names for port in ("", ":*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


async def _refuse(send: Send, refused: Refusal) -> None:
    body = json.dumps({"status": refused.status, "detail": str(refused)}).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if refused.status == 401:
        headers.append((b"www-authenticate", b'Basic realm="milepost", Bearer realm="milepost"'))
    if refused.status == 405:
        headers.append((b"allow", b"POST"))
    if refused.retry_after is not None:
        headers.append((b"retry-after", str(refused.retry_after).encode()))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
