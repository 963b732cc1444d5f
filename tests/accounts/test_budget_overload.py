"""Limits hold under overload, over all processes: P13 in small."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from tests.accounts.test_budget import caller

from milepost.accounts.budget import Budgets, Kind, Windows
from milepost.accounts.gatekeeper import Caller
from milepost.db.pool import Pool
from milepost.errors import TooManyRequests


@dataclass
class Load:
    """What an open-loop load saw: from when to when each accepted request was asked for, and for
    how many seconds somebody asked. When this process had no turn, nobody did."""

    accepted: list[tuple[float, float]]
    lasted: float

    def most_in(self, seconds: float) -> int:
        """The most requests that were certainly accepted in one window of that length: which lie
        in it from end to end."""
        return max(
            sum(asked >= since and told < since + seconds for asked, told in self.accepted)
            for since, _ in self.accepted
        )


async def overload(
    each: Sequence[Budgets], who: Sequence[Caller], kind: Kind, rate: float, seconds: float
) -> Load:
    """Send ``rate`` requests a second for ``seconds``, whatever comes back, to all in turn."""
    accepted: list[tuple[float, float]] = []

    async def one(number: int) -> None:
        asked = time.monotonic()
        try:
            await each[number % len(each)].spend(who[number % len(who)], kind)
        except TooManyRequests:
            return
        accepted.append((asked, time.monotonic()))

    sent, tasks = [time.monotonic()], []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, sent[0] + number / rate - time.monotonic()))
        tasks.append(asyncio.ensure_future(one(number)))
        sent.append(time.monotonic())
    await asyncio.gather(*tasks)
    return Load(accepted, sum(min(then - at, STALLED) for at, then in itertools.pairwise(sent)))


SHORT = Windows(long_seconds=2.4, burst_seconds=0.2)
LIMIT = 120
OUTSIDE = 0.1
"""Seconds of a window that are not looked at: two clocks measure it."""
STALLED = 0.05
"""Seconds between two requests, at most, that count as being asked."""


def verdict(load: Load) -> list[str]:
    """What is wrong with a load's outcome: the window checker."""
    wrong = []
    most = load.most_in(SHORT.long_seconds - OUTSIDE)
    if most > LIMIT:
        wrong.append(f"{most} accepted in one window of {LIMIT}")
    due = LIMIT * load.lasted / SHORT.long_seconds
    # What is free again is found by the next that asks, which takes its time.
    if len(load.accepted) < 0.9 * due:
        wrong.append(f"{len(load.accepted)} accepted of {due:.0f}")
    return wrong


@pytest.mark.promise
async def test_limits_are_exact_under_threefold_overload(
    processes: list[Pool], account: int
) -> None:
    """P13 in small: four processes, two keys, three times the limit, short windows."""
    each = [Budgets(pool, SHORT) for pool in processes]
    keys = [caller(account, reads=LIMIT), caller(account, reads=LIMIT)]
    load = await overload(each, keys, "read", 3 * LIMIT / SHORT.long_seconds, 7.2)
    assert verdict(load) == []


@pytest.mark.promise
async def test_the_checker_sees_windows_of_each_process_alone(
    processes: list[Pool], admin_pool: Pool
) -> None:
    """The planted bug: every process counts for itself, here by an account of its own."""
    accounts = [
        await admin_pool.fetchval(
            "INSERT INTO account (name) VALUES ($1) RETURNING account_id", name
        )
        for name in ("a", "b", "c", "d")
    ]
    each = [Budgets(pool, SHORT) for pool in processes]
    alone = [caller(one, reads=LIMIT) for one in accounts]
    load = await overload(each, alone, "read", 3 * LIMIT / SHORT.long_seconds, 4.0)
    assert any("accepted in one window" in wrong for wrong in verdict(load))


@pytest.mark.promise
async def test_the_checker_sees_budget_that_is_not_handed_out() -> None:
    load = Load([(moment * 0.0257, moment * 0.0257) for moment in range(280)], 7.2)
    assert verdict(load) == ["280 accepted of 360"]


@pytest.mark.promise
async def test_bursts_are_exact_under_overload(processes: list[Pool], account: int) -> None:
    each = [Budgets(pool, SHORT) for pool in processes]
    who = [caller(account, writes=0, burst=6)]
    load = await overload(each, who, "write", 90.0, 4.0)
    assert load.most_in(SHORT.burst_seconds - 0.05) <= 6
    # A window is short beside an answer of a busy machine.
    assert len(load.accepted) >= 0.5 * 6 * load.lasted / SHORT.burst_seconds
