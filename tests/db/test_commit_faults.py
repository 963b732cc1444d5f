"""Planted serialization errors: nothing is written, it is asked again, and tests are spared."""

import asyncpg
import pytest
from tests import refused_commits

from milepost.db import commit_faults
from milepost.db.known_types import KnowingConnection
from milepost.db.pool import open_pool, retrying, tenant
from milepost.errors import DatabaseUnavailable
from milepost.parcels.stored import load
from milepost.settings import Settings

ADD = "INSERT INTO host_route VALUES ('a', 'b')"


def plant(monkeypatch: pytest.MonkeyPatch, *strikes: bool) -> None:
    """These commits fail, by their turn; later ones don't."""
    turns = iter(strikes)
    monkeypatch.setattr(commit_faults, "strike", lambda: next(turns, False))


async def test_a_refused_statement_wrote_nothing(
    dsn: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, True)
    async with await open_pool(dsn, "milepost_admin", settings) as pool:
        with pytest.raises(asyncpg.SerializationError):
            await pool.execute(ADD)
        assert await pool.fetchval("SELECT count(*) FROM host_route") == 0
        plant(monkeypatch, True, True)
        await retrying(lambda: pool.execute(ADD))
        assert await pool.fetchval("SELECT count(*) FROM host_route") == 1
        plant(monkeypatch, True)
        # What is wrong with a statement is said all the same.
        with pytest.raises(asyncpg.UniqueViolationError):
            await pool.execute(ADD)


async def test_a_refused_transaction_wrote_nothing_and_is_repeated(
    dsn: str, account: int, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch, True, True)
    async with await open_pool(dsn, "milepost_app", settings) as pool:
        counts = []

        async def insert() -> int:
            async with tenant(pool, account) as connection:
                counts.append(await connection.fetchval("SELECT count(*) FROM contract"))
                await connection.execute(f"INSERT INTO contract VALUES ({account}, 'x')")
            return 7

        assert await retrying(insert) == 7
        assert counts == [0, 0, 0]
        async with tenant(pool, account) as connection:
            assert await connection.fetchval("SELECT count(*) FROM contract") == 1


async def test_commits_that_always_fail_are_an_outage(
    dsn: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_faults, "strike", lambda: True)
    async with await open_pool(dsn, "milepost_admin", settings) as pool:
        with pytest.raises(DatabaseUnavailable):
            await retrying(lambda: pool.execute(ADD))


def test_without_the_switch_no_commit_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_faults, "strike", None)
    assert commit_faults.connection_class() is KnowingConnection


def test_a_seed_repeats_the_dice() -> None:
    one, two = commit_faults.dice("0.05:7"), commit_faults.dice("0.05:7")
    thrown = [one() for _ in range(2000)]
    assert thrown == [two() for _ in range(2000)]
    assert 50 < sum(thrown) < 150


async def test_only_the_product_is_struck(
    dsn: str, settings: Settings, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck: list[bool] = []

    def strike() -> bool:
        struck.append(refused_commits.product_asks())
        return False

    monkeypatch.setattr(commit_faults, "strike", strike)
    async with await open_pool(dsn, "milepost_app", settings) as pool:
        await pool.fetchval("SELECT 1")
        async with tenant(pool, account) as connection:
            await connection.fetchval("SELECT 1")
        assert struck == [False, False]
        await retrying(lambda: pool.fetchval("SELECT 1"))
        await load(pool, account, [1])
    assert struck[2:] == [True, True]
