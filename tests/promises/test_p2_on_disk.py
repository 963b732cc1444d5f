"""P2: acknowledged means on disk. A server that may forget is refused: tests/db/test_server.py."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from tests.conftest import execute
from tests.parcels.conftest import registration
from tests.promises.figures import keep

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import open_pool
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings

WRITES = 300
SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'milepost_app'
"""
pytestmark = [pytest.mark.promise, pytest.mark.beside]


async def syncs(dsn: str) -> int:
    """How often the write-ahead log was brought to disk so far."""
    connection = await asyncpg.connect(dsn)
    count: int = await connection.fetchval(
        "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'"
    )
    await connection.close()
    return count


async def syncs_of_writes(dsn: str, account: int, settings: Settings) -> int:
    """Of ``WRITES`` registrations one after another on one connection."""
    before = await syncs(dsn)
    async with await open_pool(dsn, "milepost_app", settings, max_size=1) as pool:
        credentials = CredentialStore(pool, SecretKeys((b"k" * 40,)))
        renderer = Renderer(Catalogue.load(), credentials, 30)
        registrar = Registrar(pool, renderer, timedelta(days=120))
        for _ in range(WRITES):
            await registrar.register(account, registration())
    await ended(dsn)
    return await syncs(dsn) - before


async def ended(dsn: str) -> None:
    """A session reports what it did when it ends, before it is gone from the list of sessions."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(60):
            while await connection.fetchval(SESSIONS):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def test_each_acknowledged_write_is_a_sync(
    dsn: str, account: int, settings: Settings
) -> None:
    made = await syncs_of_writes(dsn, account, settings)
    keep("P2 syncs", writes=WRITES, syncs=made)
    assert made >= WRITES


async def test_the_count_sees_asynchronous_commits(
    dsn: str, account: int, settings: Settings
) -> None:
    """The planted bug."""
    database = dsn.split("?")[0].rsplit("/", 1)[1]
    await execute(dsn, f"ALTER DATABASE {database} SET synchronous_commit = off")
    made = await syncs_of_writes(dsn, account, settings)
    keep("P2 broken twin", writes=WRITES, syncs=made)
    assert made < WRITES
