"""Asks a server how it is while something happens to it: liveness, readiness, a read."""

import asyncio
import base64
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

EVERY = 0.2
PATIENCE = 15.0


@dataclass
class Watch:
    """What was answered: status codes by path, and how long the slowest answer took."""

    health: Counter[int] = field(default_factory=Counter)
    ready: Counter[int] = field(default_factory=Counter)
    reads: Counter[int] = field(default_factory=Counter)
    unsaid: list[str] = field(default_factory=list)
    """Answers of 503 without a Retry-After, and none at all."""
    slowest: float = 0
    not_ready_after: float | None = None
    """Seconds from the start of the watch to the first 503 of /readyz."""


@asynccontextmanager
async def watching(port: int, user: str = "", path: str = "") -> AsyncIterator[Watch]:
    """A watch over the server on ``port`` until the block ends; ``path`` is read as ``user``."""
    watch, base = Watch(), f"http://127.0.0.1:{port}"
    login = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()} if user else {}
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(base, timeout=timeout) as session:
        asking = [_ask(session, "/healthz", {}, watch.health, watch)]
        asking.append(_ask(session, "/readyz", {}, watch.ready, watch))
        if path:
            asking.append(_ask(session, path, login, watch.reads, watch))
        tasks = [asyncio.create_task(one) for one in asking]
        try:
            yield watch
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(
    session: aiohttp.ClientSession,
    path: str,
    headers: dict[str, str],
    told: Counter[int],
    watch: Watch,
) -> None:
    began = time.monotonic()
    while True:
        started = time.monotonic()
        try:
            async with session.get(path, headers=headers) as got:
                await got.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as trouble:
            watch.unsaid.append(f"{path}: {type(trouble).__name__}")
        else:
            now = time.monotonic()
            told[got.status] += 1
            watch.slowest = max(watch.slowest, now - started)
            if got.status == 503 and "Retry-After" not in got.headers:
                watch.unsaid.append(f"{path}: 503 without Retry-After")
            if got.status == 503 and path == "/readyz" and watch.not_ready_after is None:
                watch.not_ready_after = now - began
        await asyncio.sleep(EVERY)
