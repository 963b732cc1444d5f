"""/healthz: this process lives. /readyz: it can ask its database."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable

PATHS = frozenset({"/healthz", "/readyz"})
# Told within this even where the network swallows everything.
READY_SECONDS = 1.0

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Health:
    """A plain ASGI app for ``PATHS``; neither path asks for credentials or tells anything else."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asking: asyncio.Task[bool] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers 200 or 503 (with Retry-After); 405 for anything but GET and HEAD."""
        if scope["method"] not in ("GET", "HEAD"):
            return await respond(send, 405, b"", [(b"allow", b"GET, HEAD")])
        if scope["path"] == "/healthz" or await self.ready():
            return await respond(send, 200, body_for(scope, b'{"status":"ok"}'), [])
        body = body_for(scope, b'{"status":"unavailable"}')
        return await respond(send, 503, body, [(b"retry-after", b"1")])

    async def ready(self) -> bool:
        """Whether the database answers now. Many asking at once share one question."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> bool:
        try:
            await retrying(lambda: self._pool.fetchval("SELECT 1"), seconds=READY_SECONDS)
        except DatabaseUnavailable:
            return False
        return True


def body_for(scope: Message, body: bytes) -> bytes:
    """HEAD has the headers of GET and no body."""
    return b"" if scope["method"] == "HEAD" else body


async def respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """One whole answer that nobody may keep."""
    fixed = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    if body:
        fixed.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": fixed + headers})
    await send({"type": "http.response.body", "body": body})
