"""Budgets of several processes, and a clock that stands still with naps that move it on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from tests.accounts.scripted_budget import NOW

from milepost.accounts import budget
from milepost.db.pool import Pool, open_pool
from milepost.settings import Settings


@pytest.fixture
async def processes(dsn: str, settings: Settings) -> AsyncIterator[list[Pool]]:
    """A pool of each."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                await open_pool(dsn, "milepost_app", settings, max_size=2)
            )
            for _ in range(4)
        ]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now=NOW)
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def naps(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept; the clock moves on by it at once."""
    slept: list[float] = []
    sleep = asyncio.sleep

    async def nap(seconds: float) -> None:
        if seconds:
            slept.append(round(seconds, 6))
            clock.now += seconds
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    return slept
