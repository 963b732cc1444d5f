"""A session in which the database's clock stands where a test puts it: everything else is real."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

PATH = {"search_path": "stopped, public, pg_catalog"}
_CLOCK = """
    CREATE SCHEMA stopped;
    CREATE TABLE stopped.clock (moment timestamptz NOT NULL);
    INSERT INTO stopped.clock VALUES (pg_catalog.now());
    CREATE FUNCTION stopped.now() RETURNS timestamptz STABLE
        LANGUAGE sql AS 'SELECT moment FROM stopped.clock';
    CREATE FUNCTION stopped.clock_timestamp() RETURNS timestamptz VOLATILE
        LANGUAGE sql AS 'SELECT moment FROM stopped.clock';
"""


@asynccontextmanager
async def stopped(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The superuser's session; ``put`` moves its clock."""
    connection = await asyncpg.connect(dsn, server_settings=PATH)
    try:
        await connection.execute(_CLOCK)
        yield connection
    finally:
        await connection.close()


async def put(connection: asyncpg.Connection, moment: datetime) -> None:
    await connection.execute("UPDATE stopped.clock SET moment = $1", moment)


@asynccontextmanager
async def beside(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Another session with the same clock."""
    connection = await asyncpg.connect(dsn, server_settings=PATH)
    try:
        yield connection
    finally:
        await connection.close()


async def waits_for_a_lock(session: asyncpg.Connection, other: asyncpg.Connection) -> None:
    """Return when ``other`` waits for what another session has locked."""
    waiting = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
    pid = other.get_server_pid()
    while not await session.fetchval(waiting, pid):
        await asyncio.sleep(0.005)
