"""Budget leased in advance: how much, how long, who spends it, and that it goes back.

The database's answers and the clock are given here; what it answers is tested in
test_spend_budget.py, and both together in test_budget.py.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.accounts.scripted_budget import NOW, Database, answer, budgets_on, caller

from milepost.accounts.budget import Budgets, Spent, Windows, _Tally
from milepost.errors import DatabaseUnavailable


def leased(budgets: Budgets, units: int, until: float = NOW + 0.5) -> _Tally:
    tally = budgets._tally(7, "read")
    tally.leased, tally.lease_until, tally.remaining, tally.reset_at = units, until, 40, NOW + 9.5
    return tally


def test_windows_are_cut_into_buckets() -> None:
    plain, odd = Windows(), Windows(1.0, 0.5)
    assert (plain.bucket_ms, plain.burst_bucket_ms) == (250, 50)
    assert (plain.lease_seconds, plain.pace_seconds) == (0.5, 0.05)
    assert (odd.bucket_ms, odd.burst_bucket_ms, odd.lease_seconds) == (5, 25, 0.01)


def test_a_lease_is_spent_one_by_one_until_its_end(clock: SimpleNamespace) -> None:
    budgets = budgets_on(Database())
    assert budgets.spend_leased(caller(), "read") is None
    tally = leased(budgets, 2)
    assert budgets.spend_leased(caller(), "read") == Spent(100, 41, 10)
    assert (tally.leased, tally.spent_since, tally.limit, tally.burst) == (1, 1, 100, 0)
    clock.now = NOW + 0.5
    assert budgets.spend_leased(caller(), "read") is None
    clock.now = NOW + 0.4999
    assert budgets.spend_leased(caller(), "read") == Spent(100, 40, 10)
    assert budgets.spend_leased(caller(), "read") is None


async def test_who_waits_comes_before_who_finds_a_lease(clock: SimpleNamespace) -> None:
    budgets = budgets_on(Database())
    leased(budgets, 2).waiting.append(asyncio.get_running_loop().create_future())
    assert budgets.spend_leased(caller(), "read") is None


@pytest.mark.parametrize(
    ("spent", "since", "leasing"),
    [
        (10, 0.4, 13),  # what the pace needs, rounded up
        (10, 0.1, 20),  # at most twice what was spent
        (1, 0.0, 2),  # at once
        (8000, 0.3, 10_000),  # at most so many
        (10, 0.9999, 6),
        (10, 1.0, 0),  # too long ago for a pace
        (0, 0.1, 0),
    ],
)
def test_a_lease_is_what_its_time_will_need(spent: int, since: float, leasing: int) -> None:
    budgets = budgets_on(Database())
    tally = _Tally(7, "read", limit=100, spent_since=spent, asked_at=NOW - since)
    assert budgets._worth_leasing(tally, NOW) == leasing
    tally.burst = 1
    assert budgets._worth_leasing(tally, NOW) == 0


async def test_a_lease_goes_to_late_comers_and_back_at_its_end(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(
        answer(1), answer(1, spare=2, remaining=9, lease_bucket=4321), answer(0), answer(1)
    )
    budgets = budgets_on(database)
    timers: list[tuple[float, Any, tuple[Any, ...]]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda *given: timers.append((*given[:2], given[2:])))
    await budgets.spend(caller(), "read")
    clock.now += 0.25
    assert await budgets.spend(caller(), "read") == Spent(100, 11, 31)
    tally = budgets._tallies[7, "read"]
    assert (tally.leased, tally.lease_bucket, tally.lease_until) == (2, 4321, NOW + 0.75)
    assert [(delay, given) for delay, _, given in timers] == [(0.5, (tally,))]
    assert await budgets.spend(caller(), "read") == Spent(100, 10, 31)
    timers[0][1](tally)
    assert tally.runner is None, "it has not ended"
    clock.now = NOW + 0.75
    timers[0][1](tally)
    await tally.runner  # type: ignore[misc]
    assert database.asked == [(1, 0, 0), (1, 2, 0), (0, 0, 1)]
    assert (tally.leased, tally.remaining, tally.asked_at, tally.spent_since) == (
        0,
        50,
        NOW + 0.25,
        2,
    )
    timers[0][1](tally)
    assert tally.runner is None, "nothing is owed"


async def test_a_lease_that_ended_during_its_call_ends_at_once(
    clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = budgets_on(Database())
    delays: list[float] = []
    monkeypatch.setattr(
        asyncio.get_running_loop(), "call_later", lambda delay, *_: delays.append(delay)
    )
    budgets._lease(_Tally(7, "read"), 3, 5, NOW - 2)
    assert delays == [0.0]


def test_only_a_lease_that_has_ended_is_owed(clock: SimpleNamespace) -> None:
    budgets = budgets_on(Database())
    owed = [(1, NOW), (1, NOW + 0.1), (0, NOW)]
    assert [budgets._owes(_Tally(7, "read", leased=n, lease_until=until)) for n, until in owed] == [
        True,
        False,
        False,
    ]


async def test_what_is_leased_goes_back_at_the_end(clock: SimpleNamespace) -> None:
    database = Database(answer(0))
    budgets = budgets_on(database)
    tally = leased(budgets, 4)
    budgets._tally(8, "read")
    await budgets.close()
    assert (database.asked, tally.leased) == ([(0, 0, 4)], 0)


async def test_what_cannot_go_back_ends_nothing(clock: SimpleNamespace) -> None:
    database = Database(DatabaseUnavailable("away"), answer(0))
    budgets = budgets_on(database)
    leased(budgets, 4)
    budgets._tally(8, "read").leased = 2
    cut_off = asyncio.ensure_future(asyncio.sleep(60))
    budgets._tally(9, "read").runner = cut_off
    asyncio.get_running_loop().call_soon(cut_off.cancel)
    await budgets.close()
    assert database.asked == [(0, 0, 4), (0, 0, 2)]


def test_shorter_windows_make_shorter_leases(clock: SimpleNamespace) -> None:
    budgets = Budgets(None, Windows(2.4))  # type: ignore[arg-type]
    tally = _Tally(7, "read", limit=100, spent_since=10, asked_at=NOW - 0.01)
    assert [budgets._worth_leasing(tally, NOW + later) for later in (0, 0.1)] == [20, 0]


async def test_who_came_during_a_call_is_let_in_while_the_lease_lasts(
    clock: SimpleNamespace,
) -> None:
    budgets = budgets_on(Database())
    tally = leased(budgets, 2)
    gone, first, second, third = (asyncio.get_running_loop().create_future() for _ in range(4))
    gone.cancel()
    tally.waiting.extend((gone, first, second, third))
    budgets._let_in(tally)
    assert [one.done() for one in (first, second, third)] == [True, True, False]
    assert (list(tally.waiting), tally.leased) == ([third], 0)
    tally.leased, tally.lease_until = 1, NOW
    budgets._let_in(tally)
    assert not third.done()
