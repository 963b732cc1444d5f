"""Liveness asks nobody; readiness asks the database, shortly."""

import asyncio
from typing import Any

import asyncpg
import pytest
from tests.conftest import with_database

from milepost.api.health import Health
from milepost.db.pool import Pool, open_pool
from milepost.settings import Settings


async def ask(
    health: Health, path: str, method: str = "GET"
) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("no body is read")

    await health({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_all_well(app_pool: Pool, path: str) -> None:
    status, headers, body = await ask(Health(app_pool), path)
    assert (status, body) == (200, b'{"status":"ok"}')
    assert headers[b"cache-control"] == b"no-store"
    assert (await ask(Health(app_pool), path, "HEAD"))[2] == b""
    assert (await ask(Health(app_pool), path, "POST"))[0] == 405


async def test_without_a_database(postgres: str, settings: Settings) -> None:
    async with await open_pool(with_database(postgres, "none"), "milepost_app", settings) as pool:
        status, headers, _ = await ask(Health(pool), "/readyz")
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert (await ask(Health(pool), "/healthz"))[0] == 200


async def test_a_busy_pool_is_not_ready_and_told_in_time(dsn: str, settings: Settings) -> None:
    async with await open_pool(dsn, "milepost_app", settings, max_size=1) as pool:
        health = Health(pool)
        async with pool.acquire():
            async with asyncio.timeout(60):
                answers = await asyncio.gather(*(ask(health, "/readyz") for _ in range(50)))
            assert {status for status, _, _ in answers} == {503}
        assert (await ask(health, "/readyz"))[0] == 200


async def test_many_at_once_are_one_question(
    app_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    original = asyncpg.Pool.fetchval

    async def counting(*arguments: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        return await original(*arguments, **named)

    monkeypatch.setattr(asyncpg.Pool, "fetchval", counting)
    health = Health(app_pool)
    await asyncio.gather(*(ask(health, "/readyz") for _ in range(50)))
    assert asked == 1
