"""What a connection knows of PostgreSQL's types, the next one need not ask."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from milepost.db import known_types
from milepost.db.pool import open_pool
from milepost.settings import Settings

WHEN = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)
ASKS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("SELECT $1::bigint[]", ([1, 2],)),
    ("SELECT $1::jsonb[]", ([{"a": [1]}, None],)),
    # Some of it is known, and known from two answers.
    ("SELECT $1::bigint[], $2::jsonb[], $3::timestamptz[]", ([3], [{"b": "é"}], [WHEN])),
)


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[int]]:
    """Every question about types, in a process that knows none yet."""
    asked: list[frozenset[int]] = []
    asks = vars(asyncpg.Connection)["_introspect_types"]

    async def noted(connection: Any, oids: Any, timeout: Any) -> Any:
        asked.append(frozenset(oids))
        return await asks(connection, oids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", noted)
    monkeypatch.setattr(known_types, "_known", {})
    return asked


async def test_the_second_connection_asks_nothing_and_reads_the_same(
    dsn: str, settings: Settings, questions: list[frozenset[int]]
) -> None:
    async with (
        await open_pool(dsn, "milepost_app", settings) as pool,
        pool.acquire() as first,
        pool.acquire() as second,
    ):
        for statement, values in ASKS:
            assert [tuple(row) for row in await first.fetch(statement, *values)] == [values]
        assert questions, "the driver calls it otherwise now"
        questions.clear()
        for statement, values in reversed(ASKS):
            assert [tuple(row) for row in await second.fetch(statement, *values)] == [values]
        assert questions == []


async def test_types_of_the_database_are_asked_about_by_each_connection(
    dsn: str, settings: Settings, questions: list[frozenset[int]]
) -> None:
    """They may change meanwhile, and differ from database to database."""
    async with (
        await open_pool(dsn, "milepost_app", settings) as pool,
        pool.acquire() as first,
        pool.acquire() as second,
    ):
        for connection in (first, second):
            questions.clear()
            await connection.fetch("SELECT l FROM lane l WHERE false")
            assert len(questions) == 1
