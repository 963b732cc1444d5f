"""Budgets hold over processes: each ``Budgets`` here stands for a process, with its own pool."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from milepost.accounts.budget import UNLIMITED, Budgets, Kind, Spent, Windows
from milepost.accounts.gatekeeper import Caller, Limits
from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable, TooManyRequests


def caller(account_id: int, reads: int = 1000, writes: int = 100, burst: int = 15) -> Caller:
    return Caller(account_id, 1, "test", "newest", Limits(reads, writes, burst), 2)


async def outcomes(budgets: Budgets, who: Caller, kind: Kind, count: int) -> list[Spent | int]:
    """What ``count`` requests at once get: spent, or the seconds to wait."""

    async def one() -> Spent | int:
        try:
            return await budgets.spend(who, kind)
        except TooManyRequests as error:
            return error.retry_after

    return list(await asyncio.gather(*(one() for _ in range(count))))


def passed(got: Sequence[Spent | int]) -> int:
    return sum(isinstance(one, Spent) for one in got)


async def test_the_burst_is_one_second_of_writes(app_pool: Pool, account: int) -> None:
    began = time.monotonic()
    got = await outcomes(Budgets(app_pool), caller(account), "write", 40)
    # Where asking takes longer than a second, the next one's burst is due as well.
    assert 15 <= passed(got) <= 15 * (1 + int(time.monotonic() - began))
    assert all(one in (1, 2, 3, 4, 5, 6) for one in got if isinstance(one, int))


async def test_asking_what_is_left_spends_nothing(app_pool: Pool, account: int) -> None:
    budgets, who = Budgets(app_pool), caller(account, reads=0)
    await outcomes(budgets, who, "write", 4)
    told = [await Budgets(app_pool).left(who, "write") for _ in range(3)]
    assert [one.remaining for one in told] == [96, 96, 96]
    assert all(one.limit == 100 and one.reset_seconds >= 1 for one in told)
    assert await budgets.left(who, "read") == UNLIMITED


async def test_retry_after_holds_for_everybody_who_heeds_it(
    app_pool: Pool, admin_pool: Pool
) -> None:
    budgets = Budgets(app_pool)
    late = 0.0

    async def patient(who: Caller) -> int:
        nonlocal late
        due, tries = time.monotonic(), 1
        while True:
            try:
                await budgets.spend(who, "write")
            except TooManyRequests as error:
                asked, due = due, time.monotonic() + error.retry_after
                late = max(late, time.monotonic() - asked)
                await asyncio.sleep(error.retry_after)
                tries += 1
            else:
                late = max(late, time.monotonic() - due)
                return tries

    # Who comes much later than told may find that it is the next ones' turn: then once more.
    for name in "abcde":
        late = 0.0
        statement = "INSERT INTO account (name) VALUES ($1) RETURNING account_id"
        who = caller(await admin_pool.fetchval(statement, name))
        tries = await asyncio.gather(*(patient(who) for _ in range(60)))
        if late < 0.5:
            break
    assert sorted(tries) == [1] * 15 + [2] * 45


async def test_reads_stop_at_the_limit_over_all_processes(
    processes: list[Pool], account: int
) -> None:
    each = [Budgets(pool) for pool in processes]
    who, began = caller(account, reads=100), time.monotonic()
    got = await asyncio.gather(*(outcomes(budgets, who, "read", 60) for budgets in each))
    lasted = time.monotonic() - began
    assert sum(map(passed, got)) == 100
    waits = [one for some in got for one in some if isinstance(one, int)]
    assert all(58 - lasted <= wait <= 61 for wait in waits)


async def test_budgets_are_apart(app_pool: Pool, account: int, admin_pool: Pool) -> None:
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('b') RETURNING 1 * account_id"
    )
    budgets = Budgets(app_pool)
    assert passed(await outcomes(budgets, caller(account, reads=5), "read", 9)) == 5
    assert passed(await outcomes(budgets, caller(account), "write", 3)) == 3
    assert passed(await outcomes(budgets, caller(other, reads=5), "read", 9)) == 5


async def test_no_limit_asks_nobody(account: int) -> None:
    budgets = Budgets(None)  # type: ignore[arg-type]
    assert await budgets.spend(caller(account, reads=0), "read") is UNLIMITED
    assert await budgets.spend(caller(account, writes=0, burst=0), "write") is UNLIMITED


async def test_a_burst_limit_alone_holds(app_pool: Pool, account: int) -> None:
    got = await outcomes(Budgets(app_pool), caller(account, writes=0, burst=4), "write", 9)
    assert passed(got) == 4
    assert [one.limit for one in got if isinstance(one, Spent)] == [4] * 4


async def test_what_is_left_counts_down(app_pool: Pool, account: int) -> None:
    budgets, who, began = Budgets(app_pool), caller(account, reads=50), time.monotonic()
    seen = [await budgets.spend(who, "read") for _ in range(50)]
    assert [one.remaining for one in seen] == list(range(49, -1, -1))
    with pytest.raises(TooManyRequests) as caught:
        await budgets.spend(who, "read")
    least = 58 - (time.monotonic() - began)
    assert all(one.limit == 50 and least <= one.reset_seconds <= 61 for one in seen)
    assert least <= caught.value.retry_after <= 61


async def test_a_lower_limit_acts_at_once(app_pool: Pool, account: int) -> None:
    budgets = Budgets(app_pool)
    assert passed(await outcomes(budgets, caller(account, reads=1000), "read", 20)) == 20
    await asyncio.sleep(0.6)
    assert passed(await outcomes(budgets, caller(account, reads=10), "read", 5)) == 0


async def test_leases_save_calls_and_give_back(app_pool: Pool, account: int) -> None:
    budgets, who = Budgets(app_pool), caller(account, reads=1000)
    calls = 0
    ask = budgets._ask

    async def counted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        return await ask(*arguments)  # type: ignore[arg-type]

    budgets._ask = counted  # type: ignore[method-assign, assignment]
    for _ in range(200):
        await budgets.spend(who, "read")
    assert calls < 50
    spent = "SELECT sum(one) FROM rate_window, unnest(spent) AS one WHERE account_id = $1"

    async def noted() -> int:
        async with app_pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL milepost.account_id = '{account}'")
            return int(await connection.fetchval(spent, account))

    async with asyncio.timeout(30):
        while await noted() != 200:
            await asyncio.sleep(0.05)


async def test_who_comes_during_a_call_spends_of_its_lease(app_pool: Pool, account: int) -> None:
    # Long ones: a lease is worth its while where calls follow each other, however slow they are.
    budgets, who = Budgets(app_pool, Windows(600.0)), caller(account, reads=1000)
    asked, late, said = [], list[asyncio.Task[Spent]](), budgets._said

    async def noted(tally: Any, wanted: int, spare: int, returned: int) -> Any:
        asked.append((wanted, returned))
        if spare and not late:
            late.extend(asyncio.create_task(budgets.spend(who, "read")) for _ in range(3))
            await asyncio.sleep(0)
        return await said(tally, wanted, spare, returned)

    budgets._said = noted  # type: ignore[method-assign]
    assert [passed(await outcomes(budgets, who, "read", n)) for n in (10, 1)] == [10, 1]
    assert [(await one).remaining for one in late] == [988, 987, 986]
    assert asked == [(10, 0), (1, 0)]


async def test_a_new_process_finds_the_budget_as_it_is(processes: list[Pool], account: int) -> None:
    who = caller(account, reads=30)
    assert passed(await outcomes(Budgets(processes[0]), who, "read", 30)) == 30
    assert passed(await outcomes(Budgets(processes[1]), who, "read", 30)) == 0


async def test_a_clock_set_back_neither_refills_nor_hangs(app_pool: Pool, account: int) -> None:
    who = caller(account, reads=30)
    assert passed(await outcomes(Budgets(app_pool), who, "read", 30)) == 30
    async with app_pool.acquire() as connection, connection.transaction():
        await connection.execute(f"SET LOCAL milepost.account_id = '{account}'")
        await connection.execute("UPDATE rate_window SET newest_bucket = newest_bucket + 14400")
    got = await outcomes(Budgets(app_pool), who, "read", 3)
    assert passed(got) == 0
    assert all(isinstance(one, int) and one <= 61 for one in got)


async def test_one_who_hangs_up_fails_nobody_else(app_pool: Pool, account: int) -> None:
    budgets, who = Budgets(app_pool), caller(account, reads=50)
    tasks = [asyncio.ensure_future(budgets.spend(who, "read")) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    got = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, Spent) for one in got) == 10


async def test_no_database_is_said(app_pool: Pool, account: int) -> None:
    await app_pool.close()
    with pytest.raises(DatabaseUnavailable):
        await Budgets(app_pool).spend(caller(account), "read")
