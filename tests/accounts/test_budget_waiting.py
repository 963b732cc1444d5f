"""Who waits for budget: one call for all, the pace over budget, and those who hang up.

The database's answers and the clock are given here, as in test_budget_leases.py.
"""

import asyncio
import math
from types import SimpleNamespace

import pytest
from tests.accounts.scripted_budget import NOW, Database, answer, budgets_on, caller

from milepost.accounts import budget
from milepost.accounts.budget import UNLIMITED, Spent, _Tally
from milepost.errors import DatabaseUnavailable, TooManyRequests


def test_one_limit_of_two_is_a_limit() -> None:
    budgets = budgets_on(Database())
    assert budgets.spend_leased(caller(writes=0), "write") is None
    assert budgets.spend_leased(caller(burst=0), "write") is None
    assert budgets.spend_leased(caller(writes=0, burst=0), "write") is UNLIMITED
    assert budgets.spend_leased(caller(reads=0), "token") is None


async def test_what_is_left_is_told_in_whole_seconds() -> None:
    database = Database(answer(0, remaining=-3, reset_ms=0), answer(0, reset_ms=1001))
    budgets = budgets_on(database)
    assert await budgets.left(caller(), "read") == Spent(100, 0, 1)
    assert await budgets.left(caller(writes=0, burst=4), "write") == Spent(4, 50, 2)
    assert await budgets.left(caller(writes=0, burst=0), "write") is UNLIMITED
    assert database.asked == [(0, 0, 0)] * 2


async def test_those_who_wait_share_one_call(clock: SimpleNamespace, naps: list[float]) -> None:
    database = Database(answer(3, remaining=7))
    budgets = budgets_on(database)
    got = await asyncio.gather(*(budgets.spend(caller(), "read") for _ in range(3)))
    assert got == [Spent(100, 9, 31), Spent(100, 8, 31), Spent(100, 7, 31)]
    assert (database.asked, naps) == ([(3, 0, 0)], [])


async def test_a_call_in_full_sets_no_pace(clock: SimpleNamespace, naps: list[float]) -> None:
    database = Database(answer(1), answer(1))
    budgets = budgets_on(database)
    await budgets.spend(caller(), "read")
    await budgets.spend(caller(), "read")
    assert naps == []


async def test_over_budget_the_next_call_waits(clock: SimpleNamespace, naps: list[float]) -> None:
    database = Database(answer(1, retry_after=[7, 9]), answer(0, retry_after=[6]), answer(1))
    budgets = budgets_on(database)
    got = await asyncio.gather(
        *(budgets.spend(caller(), "read") for _ in range(3)), return_exceptions=True
    )
    told = [(one.retry_after, one.limit) for one in got if isinstance(one, TooManyRequests)]
    assert (got[0], told) == (Spent(100, 50, 31), [(7, 100), (9, 100)])
    clock.now += 0.02
    with pytest.raises(TooManyRequests):
        await budgets.spend(caller(), "read")
    assert naps == [0.03]
    clock.now += 0.05
    assert await budgets.spend(caller(), "read") == Spent(100, 50, 31)
    assert naps == [0.03]


async def test_a_burst_alone_is_the_limit_that_is_told(naps: list[float]) -> None:
    budgets = budgets_on(Database(answer(1, retry_after=[2])))
    who = caller(writes=0, burst=4)
    got = await asyncio.gather(
        *(budgets.spend(who, "write") for _ in range(2)), return_exceptions=True
    )
    assert isinstance(got[0], Spent)
    assert got[0].limit == 4
    assert isinstance(got[1], TooManyRequests)
    assert got[1].limit == 4


async def test_closing_waits_for_who_is_being_served(clock: SimpleNamespace) -> None:
    database = Database(answer(1))
    budgets = budgets_on(database)
    spending = asyncio.ensure_future(budgets.spend(caller(), "read"))
    await asyncio.sleep(0)
    await budgets.close()
    await asyncio.sleep(0)
    assert spending.done()
    assert budgets._tallies[7, "read"].runner is None


async def test_who_hung_up_is_neither_asked_for_nor_told(naps: list[float]) -> None:
    database = Database(answer(1), DatabaseUnavailable("away"))
    budgets = budgets_on(database)
    spending = [asyncio.ensure_future(budgets.spend(caller(), "read")) for _ in range(2)]
    await asyncio.sleep(0)
    spending[0].cancel()
    assert isinstance(await spending[1], Spent)
    assert database.asked == [(1, 0, 0)]
    later = [asyncio.ensure_future(budgets.spend(caller(), "read")) for _ in range(2)]
    database.during = later[0].cancel
    got = await asyncio.gather(*later, return_exceptions=True)
    assert [type(one) for one in got] == [asyncio.CancelledError, DatabaseUnavailable]


async def test_a_grant_to_one_who_hung_up_is_nobody_elses(naps: list[float]) -> None:
    database = Database(answer(1, retry_after=[3]))
    budgets = budgets_on(database)
    spending = [asyncio.ensure_future(budgets.spend(caller(), "read")) for _ in range(2)]
    await asyncio.sleep(0)
    database.during = spending[0].cancel
    got = await asyncio.gather(*spending, return_exceptions=True)
    assert [type(one) for one in got] == [asyncio.CancelledError, TooManyRequests]


async def test_a_runner_that_is_ended_leaves_nobody_waiting(clock: SimpleNamespace) -> None:
    database = Database(answer(1), answer(1))
    budgets = budgets_on(database)
    first = asyncio.ensure_future(budgets.spend(caller(), "read"))
    await asyncio.sleep(0)
    runner = budgets._tallies[7, "read"].runner
    assert runner
    database.during = runner.cancel
    second: list[asyncio.Future[Spent]] = []
    asyncio.get_running_loop().call_soon(
        lambda: second.append(asyncio.ensure_future(budgets.spend(caller(), "read")))
    )
    await asyncio.wait([runner])
    database.during = None
    assert isinstance(await asyncio.wait_for(second[0], 60), Spent)
    first.cancel()


def test_remaining_and_reset_have_least_values(clock: SimpleNamespace) -> None:
    budgets = budgets_on(Database())
    told = budgets._spent(_Tally(7, "read", limit=9, remaining=-5, reset_at=NOW - 3), 2, NOW)
    assert told == Spent(9, 0, 1)


async def test_the_idle_are_forgotten_when_there_are_many(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MOST_TALLIES", 4)
    budgets = budgets_on(Database())
    for number in range(1, 5):
        budgets._tally(number, "read")
    assert len(budgets._tallies) == 4, "so many are kept"
    never = asyncio.get_running_loop().create_future()
    budgets._tally(1, "read").leased = 1
    budgets._tally(2, "read").waiting.append(never)
    budgets._tally(3, "read").runner = asyncio.ensure_future(asyncio.sleep(0))
    assert len(budgets._tallies) == 4
    budgets._tally(5, "read")
    assert [number for number, _ in budgets._tallies] == [1, 2, 3, 5]


def test_a_tally_has_spent_nothing_and_was_denied_nothing() -> None:
    fresh = _Tally(7, "read")
    assert fresh.asked_at == fresh.denied_at == -math.inf
    assert fresh.idle
