"""Migrations: in order, once, one transaction each, restartable, beside each other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.conftest import execute, with_database

from milepost.db import migrate as migrate_module
from milepost.db.migrate import current_revision, migrate
from milepost.db.migration_files import migrations
from milepost.errors import ConfigurationError


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    await execute(postgres, "CREATE DATABASE empty_one")
    yield with_database(postgres, "empty_one")
    await execute(postgres, "DROP DATABASE empty_one WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes migration files; several calls add to the same folder."""

    def write(**files: str) -> Path:
        for name, sql in files.items():
            (tmp_path / f"{name.lstrip('m')}.sql").write_text(sql)
        return tmp_path

    return write


async def fetch(dsn: str, statement: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def revision_of(dsn: str) -> str | None:
    connection = await asyncpg.connect(dsn)
    try:
        return await current_revision(connection)
    finally:
        await connection.close()


async def test_ours_run_and_run_again(empty: str) -> None:
    assert await revision_of(empty) is None
    await migrate(empty)
    assert await revision_of(empty) == migrations()[-1].revision
    await migrate(empty)


async def test_only_what_is_missing_is_applied(empty: str, folder: Callable[..., Path]) -> None:
    await migrate(empty, folder(m0001_a="CREATE TABLE a (); CREATE TABLE b ();"))
    await migrate(empty, folder(m0002_b="DROP TABLE a;", m0005_c="ALTER TABLE b ADD c int;"))
    assert await revision_of(empty) == "0005"
    assert await fetch(empty, "SELECT to_regclass('a')") is None


async def test_a_failed_file_leaves_nothing_and_those_before_it_stay(
    empty: str, folder: Callable[..., Path]
) -> None:
    files = folder(m0001_a="CREATE TABLE a ();", m0002_b="CREATE TABLE b (); SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(empty, files)
    assert await revision_of(empty) == "0001"
    assert await fetch(empty, "SELECT to_regclass('b')") is None
    await migrate(empty, folder(m0002_b="CREATE TABLE b ();"))
    assert await revision_of(empty) == "0002"


async def test_a_file_without_transaction_can_do_what_needs_that(
    empty: str, folder: Callable[..., Path]
) -> None:
    index = "-- no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_n ON a (n);"
    files = folder(m0001_a="CREATE TABLE a (n int);", m0002_index=index)
    await migrate(empty, folder(m0003_b="CREATE TABLE b ();"))
    assert files.exists()
    assert await revision_of(empty) == "0003"
    assert await fetch(empty, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_n'::regclass")


async def test_an_index_whose_building_was_cut_off_is_built_again(
    empty: str, folder: Callable[..., Path]
) -> None:
    await migrate(empty, folder(m0001_a="CREATE TABLE a (n int); INSERT INTO a VALUES (1), (1);"))
    build = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_n ON a (n)"
    files = folder(m0002_b=f"-- no transaction\n{build};")
    with pytest.raises(asyncpg.UniqueViolationError):
        await migrate(empty, files)
    is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_n'::regclass"
    assert await fetch(empty, is_valid) is False
    await fetch(empty, "DELETE FROM a")
    await migrate(empty, files)
    assert await fetch(empty, is_valid) is True
    assert await revision_of(empty) == "0002"


async def test_an_index_is_built_once_older_transactions_are_over(
    empty: str, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than anybody waits for a lock that stands in others' way; and at the first go."""
    monkeypatch.setattr(migrate_module, "MAX_ATTEMPTS", 1)
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT", "100ms")
    await migrate(empty, folder(m0001_a="CREATE TABLE a (n int);"))
    older = await asyncpg.connect(empty)
    await older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM a")
    build = "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_n ON a (n);"
    files = folder(m0002_b=f"-- no transaction\n{build}", m0003_c="ALTER TABLE a ADD m int;")
    building = asyncio.create_task(migrate(empty, files))
    await asyncio.sleep(1)
    assert not building.done()
    await older.close()
    await building
    assert await revision_of(empty) == "0003"


async def test_many_at_once_apply_everything_once(empty: str, folder: Callable[..., Path]) -> None:
    files = folder(
        m0001_a="CREATE TABLE a (n int); INSERT INTO a VALUES (1); SELECT pg_sleep(0.3);",
        m0002_b="-- no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_n ON a (n);",
    )
    await asyncio.gather(*(migrate(empty, files) for _ in range(5)))
    assert await fetch(empty, "SELECT count(*) FROM a") == 1
    assert await revision_of(empty) == "0002"


async def test_a_busy_table_is_not_queued_for_but_asked_for_again(
    empty: str, folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT", "50ms")
    await migrate(empty, folder(m0001_a="CREATE TABLE a ();"))
    holder = await asyncpg.connect(empty)
    await holder.execute("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE")
    waiting = asyncio.create_task(migrate(empty, folder(m0002_b="ALTER TABLE a ADD n int;")))
    await asyncio.sleep(0.5)
    # A reader comes through although the migration wants the table for itself.
    await asyncio.wait_for(fetch(empty, "SELECT count(*) FROM a"), 30)
    assert not waiting.done()
    await holder.close()
    await waiting
    assert await revision_of(empty) == "0002"


async def test_killed_in_the_middle_it_goes_on_from_there(
    empty: str, folder: Callable[..., Path]
) -> None:
    files = folder(m0001_a="CREATE TABLE a ();", m0002_b="CREATE TABLE b ();")
    code = (
        "import asyncio, sys; from pathlib import Path; from milepost.db.migrate import migrate;"
        "asyncio.run(migrate(sys.argv[1], Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, empty, str(files)]
    environment = os.environ | {"MILEPOST_FAILPOINT": "migrate.mid:2"}
    killed = await asyncio.to_thread(subprocess.run, command, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert await revision_of(empty) == "0001"
    await migrate(empty, files)
    assert await revision_of(empty) == "0002"


async def test_a_newer_schema_is_refused(empty: str, folder: Callable[..., Path]) -> None:
    files = folder(m0001_a="CREATE TABLE a ();", m0002_b="CREATE TABLE b ();")
    await migrate(empty, files)
    (files / "0002_b.sql").unlink()
    with pytest.raises(ConfigurationError, match="schema is 0002, newer"):
        await migrate(empty, files)


def test_two_files_of_one_number_are_a_mistake(folder: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match="same number"):
        migrations(folder(m0001_a="SELECT 1;", m0001_b="SELECT 1;"))
    with pytest.raises(ValueError, match="not named"):
        migrations(folder(readme="SELECT 1;"))
