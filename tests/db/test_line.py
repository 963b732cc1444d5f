"""A connection that goes from statement to statement is given back, whatever happens."""

import asyncio

import asyncpg
import pytest

from milepost.db.line import Line
from milepost.db.pool import Pool, open_pool
from milepost.settings import Settings


def in_use(pool: Pool) -> int:
    return pool.get_size() - pool.get_idle_size()


async def test_statements_follow_each_other_on_one_connection(app_pool: Pool) -> None:
    line = Line(app_pool)
    backends = {(await line.rows_of("SELECT pg_backend_pid()"))[0][0] for _ in range(3)}
    assert len(backends) == 1
    assert in_use(app_pool) == 1
    await line.close()
    assert in_use(app_pool) == 0


async def test_a_failed_or_abandoned_statement_keeps_nothing(app_pool: Pool) -> None:
    line = Line(app_pool)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await line.rows_of("SELECT 1 / $1::integer", 0)
    assert in_use(app_pool) == 0
    slow = asyncio.ensure_future(line.rows_of("SELECT pg_sleep(10)"))
    await asyncio.sleep(0.1)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert in_use(app_pool) == 0
    late = asyncio.ensure_future(line.rows_of("SELECT pg_sleep(0.1)"))
    await asyncio.sleep(0)
    await line.close()
    await late
    assert in_use(app_pool) == 0


async def test_a_connection_that_died_is_replaced(app_pool: Pool) -> None:
    line = Line(app_pool)
    first = (await line.rows_of("SELECT pg_backend_pid()"))[0][0]
    held = line._held
    assert held is not None
    await held.close()
    second = (await line.rows_of("SELECT pg_backend_pid()"))[0][0]
    assert second != first
    await line.close()


async def test_the_last_connection_is_nobodys_alone(dsn: str, settings: Settings) -> None:
    async with await open_pool(dsn, "milepost_app", settings, max_size=1) as pool:
        line = Line(pool)
        await line.rows_of("SELECT 1")
        assert in_use(pool) == 0
        await line.close()
