"""Brings the schema up to date: forward only, one .sql file per step, safe beside old versions.

A migration is a file ``migrations/sql/NNNN_name.sql``; its number is its revision and the one
before is what it builds on. Nothing else has to be written. A file whose first line is
``-- no transaction`` holds one statement that may be repeated (``CREATE INDEX CONCURRENTLY IF
NOT EXISTS``, before which an index left half built is dropped); every other file is one
transaction.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from milepost.db.migration_files import FOLDER, Migration, migrations
from milepost.errors import ConfigurationError

# Any number will do as long as it never changes.
LOCK_ID = 6_453_671_925
LOCK_POLL_SECONDS = 0.2
# Nobody may wait behind us for longer: better give up the lock and come again.
LOCK_TIMEOUT = "1s"
MAX_ATTEMPTS = 60


async def migrate(dsn: str, folder: Path = FOLDER, *, make: bool = True) -> None:
    """Applies what is missing. Waits while another process does; restartable at any point.

    Raises ConfigurationError when the database was written by a newer Milepost, or, without
    ``make``, when it has no schema of ours at all.
    """
    known = migrations(folder)
    async with migration_lock(dsn) as connection:
        current = await current_revision(connection)
        if current is not None and current not in {one.revision for one in known}:
            raise ConfigurationError(
                f"the database's schema is {current}, newer than this Milepost; upgrade Milepost"
            )
        if current is None and not make:
            raise ConfigurationError(
                "there is no Milepost in this database: MILEPOST_DATABASE_URL says which one it "
                "is, milepost db upgrade makes one"
            )
        if current == known[-1].revision:
            return
        # Alembic and SQLAlchemy take a third of a second to import; a start rarely needs them.
        from milepost.db.revisions import upgrade

        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                await upgrade(dsn, known, LOCK_TIMEOUT)
            except asyncpg.LockNotAvailableError:
                if attempt == MAX_ATTEMPTS:
                    raise
                await asyncio.sleep(1)
            else:
                return


async def pending(dsn: str, folder: Path = FOLDER) -> list[Migration]:
    """What ``migrate`` would apply now, oldest first. Changes nothing and waits for nobody."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "public"})
    try:
        current = await current_revision(connection)
    finally:
        await connection.close()
    return [one for one in migrations(folder) if current is None or one.revision > current]


async def current_revision(connection: "asyncpg.Connection[asyncpg.Record]") -> str | None:
    """The number of the last migration applied, None in an empty database."""
    if await connection.fetchval("SELECT to_regclass('public.alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


@asynccontextmanager
async def migration_lock(dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Holds the lock of whoever changes the schema, on a connection of its own that is given.

    Asked again and again, never waited for in PostgreSQL: a waiting statement has a snapshot,
    CREATE INDEX CONCURRENTLY waits for all older snapshots, and the two would wait for good.
    """
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "public"})
    try:
        statement = "SELECT pg_try_advisory_lock($1)"
        while not await connection.fetchval(statement, LOCK_ID):  # noqa: ASYNC110 not our process
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield connection
    finally:
        await connection.close()
