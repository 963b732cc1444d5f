"""Alembic over plain .sql files: revisions are made from the files, not written by hand."""

import re
from itertools import pairwise
from types import ModuleType
from typing import Any

import asyncpg
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from milepost.db.migration_files import Migration
from milepost.failpoints import reach

_BUILT = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)")
_BUILD_TIMEOUT = "5min"
_IS_INVALID = "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"


async def upgrade(dsn: str, known: list[Migration], lock_timeout: str) -> None:
    """Applies every migration the database lacks, each with its version row in one transaction."""

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        parameters = {
            "search_path": "public",
            "lock_timeout": lock_timeout,
            "application_name": "milepost_migrate",
        }
        return await asyncpg.connect(dsn, server_settings=parameters)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run, known)
    finally:
        await engine.dispose()


def _run(connection: Connection, known: list[Migration]) -> None:
    scripts = script_directory(known)
    environment = EnvironmentContext(
        Config(), scripts, fn=lambda revision, _: scripts._upgrade_revs("head", revision)
    )
    with environment:
        environment.configure(connection=connection, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()


def script_directory(known: list[Migration]) -> ScriptDirectory:
    """Alembic's view of the files: a chain of revisions in the order of their numbers."""
    scripts = ScriptDirectory(str(known[0].path.parent))
    chain = [(None, known[0]), *pairwise(known)]
    scripts.revision_map = RevisionMap(lambda: [_script(before, this) for before, this in chain])
    return scripts


def _script(before: Migration | None, migration: Migration) -> Script:
    module: Any = ModuleType(f"milepost_revision_{migration.revision}")
    module.revision = migration.revision
    module.down_revision = None if before is None else before.revision
    module.upgrade = lambda: _apply(migration)
    return Script(module, migration.revision, str(migration.path))


def _apply(migration: Migration) -> None:
    """Runs the file on the driver's own connection: many statements, no bind parameters."""
    if migration.in_transaction:
        # SQLAlchemy begins with its first statement; ours must not be the one before it.
        op.get_bind().execute(text("SELECT 1"))
        _execute(migration)
        return
    with op.get_context().autocommit_block():
        _drop_half_built(migration)
        _execute(migration)
        await_only(_driver().execute("RESET lock_timeout"))


def _drop_half_built(migration: Migration) -> None:
    """An index whose building was cut off bears its name, is no good, and would be left so.

    Building waits for every older transaction, and stands in nobody's way: it may wait longer.
    """
    driver = _driver()
    for name in _BUILT.findall(migration.sql):
        await_only(driver.execute(f"SET lock_timeout = '{_BUILD_TIMEOUT}'"))
        if await_only(driver.fetchval(_IS_INVALID, name)):
            await_only(driver.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"'))


def _execute(migration: Migration) -> None:
    await_only(_driver().execute(migration.sql))
    reach("migrate.mid")


def _driver() -> Any:
    driver = op.get_bind().connection.driver_connection
    if driver is None:
        raise RuntimeError("SQLAlchemy lost its connection")
    return driver
