"""Quiet checks that become ready while a write is under way share the next one."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable
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
    return Finisher(cast(Pool, pool), Lane(1, "sandbox"))


async def test_the_second_write_takes_all_who_wait() -> None:
    pool = Slow()
    one = finisher(pool)
    await asyncio.gather(*(one.finish(quiet(name)) for name in "abcd"), one.finish([]))
    assert pool.wrote == [["a"], ["b", "c", "d"]]


async def test_all_who_shared_a_failed_write_hear_of_it() -> None:
    pool = Slow(fails=True)
    one = finisher(pool)
    told = await asyncio.gather(*(one.finish(quiet(n)) for n in "ab"), return_exceptions=True)
    assert [type(failure) for failure in told] == [DatabaseUnavailable] * 2
    pool.fails = False
    await one.finish(quiet("c"))
    assert pool.wrote[-1] == ["c"]


async def test_who_is_cut_off_does_not_leave_the_others_waiting() -> None:
    one = finisher(Slow())
    first, leading, following = (
        asyncio.create_task(one.finish(quiet(name))) for name in ("a", "b", "c")
    )
    await first
    await asyncio.sleep(0.005)
    leading.cancel()
    with pytest.raises(DatabaseUnavailable):
        await asyncio.wait_for(following, 5)


async def test_who_is_cut_off_while_waiting_is_written_all_the_same() -> None:
    pool = Slow()
    one = finisher(pool)
    tasks = [asyncio.create_task(one.finish(quiet(name))) for name in "abc"]
    await asyncio.sleep(0.005)
    tasks[1].cancel()
    await tasks[2]
    assert pool.wrote == [["a"], ["b", "c"]]
