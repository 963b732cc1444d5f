"""What a process makes of the database's answers: leases, their ends, the pace over budget.

Answers and the clock are given here; what the database answers is tested in test_spend_budget.py,
and both together in test_budget.py.
"""

import asyncio
import math
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from milepost.accounts import budget
from milepost.accounts.budget import UNLIMITED, Budgets, Spent, Windows, _Tally
from milepost.accounts.gatekeeper import Caller, Limits
from milepost.errors import DatabaseUnavailable, TooManyRequests

NOW = 1000.0


def caller(reads: int = 100, writes: int = 100, burst: int = 15) -> Caller:
    return Caller(7, 1, "test", "newest", Limits(reads, writes, burst), 2)


def answer(granted: int, **others: Any) -> dict[str, Any]:
    said = {"granted": granted, "remaining": 50, "reset_ms": 30_500, "retry_after": [], "spare": 0}
    return {**said, "lease_bucket": 4000, **others}


class Database:
    """Gives the answers it was given and keeps what it was asked: wanted, spare, returned."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = deque(answers)
        self.asked: list[tuple[int, int, int]] = []
        self.during: Any = None

    async def say(self, _: _Tally, wanted: int, spare: int, returned: int) -> dict[str, Any]:
        self.asked.append((wanted, spare, returned))
        if self.during:
            self.during()
        await asyncio.sleep(0)
        said = self.answers.popleft()
        if isinstance(said, Exception):
            raise said
        return said


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


def budgets_on(database: Database) -> Budgets:
    made = Budgets(None)  # type: ignore[arg-type]
    made._said = database.say  # type: ignore[method-assign, assignment]
    return made


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


def test_one_limit_of_two_is_a_limit() -> None:
    budgets = budgets_on(Database())
    assert budgets.spend_leased(caller(writes=0), "write") is None
    assert budgets.spend_leased(caller(burst=0), "write") is None
    assert budgets.spend_leased(caller(writes=0, burst=0), "write") is UNLIMITED
    assert budgets.spend_leased(caller(reads=0), "token") is None


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


async def test_closing_waits_for_who_is_being_served(clock: SimpleNamespace) -> None:
    database = Database(answer(1))
    budgets = budgets_on(database)
    spending = asyncio.ensure_future(budgets.spend(caller(), "read"))
    await asyncio.sleep(0)
    await budgets.close()
    await asyncio.sleep(0)
    assert spending.done()
    assert budgets._tallies[7, "read"].runner is None


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
    assert isinstance(await asyncio.wait_for(second[0], 5), Spent)
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
