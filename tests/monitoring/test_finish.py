"""Quiet checks that become ready within a moment, or while a write is under way, share a write."""

import asyncio
import gc
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable
from milepost.monitoring import finish
from milepost.monitoring.claim import Lane
from milepost.monitoring.finish import Finisher
from milepost.monitoring.plan import Quiet


@dataclass
class Slow:
    """A pool whose statement takes its time, and fails where it is told to."""

    wrote: list[list[str]] = field(default_factory=list)
    fails: bool = False

    async def fetchval(self, _: str, *arguments: Any) -> int:
        self.wrote.append(arguments[2])
        await asyncio.sleep(0.02)
        if self.fails:
            raise ConnectionError
        return len(arguments[2])


class Row:
    def __init__(self, name: str) -> None:
        self.name = name

    def document(self) -> str:
        return self.name


def quiet(*names: str) -> list[Quiet]:
    return [cast(Quiet, Row(name)) for name in names]


def finisher(pool: Slow) -> Finisher:
    return Finisher(cast(Pool, pool), Lane(1, "sandbox"), asyncio.Semaphore(4))


async def test_the_answers_of_a_claim_are_written_together() -> None:
    pool = Slow()
    one = finisher(pool)
    one.expect(4)

    async def answered(*names: str) -> None:
        await asyncio.sleep(0)
        one.heard()
        await one.finish(quiet(*names))

    await asyncio.gather(*(answered(name) for name in "abc"), answered())
    assert pool.wrote == [["a", "b", "c"]]


async def test_what_comes_while_a_write_is_under_way_shares_the_next() -> None:
    pool = Slow()
    one = finisher(pool)
    one.heard()  # nobody else is expected
    first = asyncio.create_task(one.finish(quiet("a")))
    while not pool.wrote:
        await asyncio.sleep(0)
    await asyncio.gather(first, *(one.finish(quiet(name)) for name in "bcd"))
    assert pool.wrote == [["a"], ["b", "c", "d"]]


async def test_an_answer_waits_a_moment_for_the_others_and_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finish, "LINGER_SECONDS", 0.01)
    pool = Slow()
    one = finisher(pool)
    one.expect(2)
    one.heard()
    await one.finish(quiet("a"))
    one.heard()
    await one.finish(quiet("b"))
    assert pool.wrote == [["a"], ["b"]]


async def test_all_who_shared_a_failed_write_hear_of_it() -> None:
    pool = Slow(fails=True)
    one = finisher(pool)
    told = await asyncio.gather(*(one.finish(quiet(n)) for n in "ab"), return_exceptions=True)
    assert [type(failure) for failure in told] == [DatabaseUnavailable] * 2
    pool.fails = False
    await one.finish(quiet("c"))
    assert pool.wrote[-1] == ["c"]


async def test_who_is_cut_off_is_written_all_the_same_with_the_others() -> None:
    pool = Slow()
    one = finisher(pool)
    one.expect(3)
    tasks = [asyncio.create_task(one.finish(quiet(name))) for name in "abc"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    for _ in tasks:
        one.heard()
    await asyncio.gather(*tasks[1:])
    assert pool.wrote == [["a", "b", "c"]]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written because time has passed."""
    monkeypatch.setattr(finish, "LINGER_SECONDS", 3600)


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.usefixtures("patient")
async def test_the_last_to_answer_lets_the_others_be_written() -> None:
    pool = Slow()
    one = finisher(pool)
    one.expect(2)
    first = asyncio.create_task(one.finish(quiet("a")))
    await turns()
    one.heard()
    await turns()
    assert pool.wrote == []
    one.heard()
    await asyncio.wait_for(first, 60)
    await asyncio.wait_for(one.finish(quiet("b")), 60)
    assert pool.wrote == [["a"], ["b"]], "nobody is left to wait for"


async def test_while_one_is_expected_each_write_waits_for_it_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finish, "LINGER_SECONDS", 0.01)
    pool = Slow()
    one = finisher(pool)
    one.expect(2)
    one.heard()
    await asyncio.wait_for(one.finish(quiet("a")), 60)
    monkeypatch.setattr(finish, "LINGER_SECONDS", 3600)
    second = asyncio.create_task(one.finish(quiet("b")))
    await turns()
    assert pool.wrote == [["a"]]
    one.heard()
    await asyncio.wait_for(second, 60)


async def test_where_nobody_was_expected_only_the_first_lingers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finish, "LINGER_SECONDS", 0.01)
    pool = Slow()
    one = finisher(pool)
    await asyncio.wait_for(one.finish(quiet("a")), 60)
    monkeypatch.setattr(finish, "LINGER_SECONDS", 3600)
    await asyncio.wait_for(one.finish(quiet("b")), 60)
    assert pool.wrote == [["a"], ["b"]]


async def test_a_write_takes_its_timer_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[asyncio.TimerHandle] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def kept(delay: float, *rest: Any) -> asyncio.TimerHandle:
        timers.append(call_later(delay, *rest))
        return timers[-1]

    one = finisher(Slow())
    one.heard()
    with monkeypatch.context() as patched:
        patched.setattr(loop, "call_later", kept)
        writing = asyncio.create_task(one.finish(quiet("a")))
        await turns()
    assert [timer.cancelled() for timer in timers[:1]] == [True]
    await writing


async def test_a_failure_nobody_is_left_to_hear_is_no_alarm() -> None:
    alarms: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: alarms.append(told))
    one = finisher(Slow(fails=True))
    one.heard()
    asked = asyncio.create_task(one.finish(quiet("a")))
    await turns()
    asked.cancel()
    await asyncio.wait([asked])
    while one._writer and not one._writer.done():
        await asyncio.sleep(0.01)
    del one
    gc.collect()
    await turns()
    assert alarms == []
