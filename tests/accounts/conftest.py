"""A clock for budgets that stands still, and naps that move it on."""

import asyncio
from types import SimpleNamespace

import pytest
from tests.accounts.scripted_budget import NOW

from milepost.accounts import budget


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
