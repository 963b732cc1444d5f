"""What is looked at many times a second stays cheap while somebody holds a snapshot open.

Told in pages that PostgreSQL reads, which no busy machine changes. Beside each is the look that was
there before: it shows that the history which is held back would be felt.
"""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from milepost.db.pool import Pool
from milepost.notifications.statements import DUE, FAN_OUT

VERSIONS = 2_000
TOLD = 6_000
ACCOUNTS = 20
FEW_PAGES = 25
SLOTS = "take_slots('dhl', 'operator', '1 s', '1 d', 1, NULL, '60 s')"
TAKE = f"SELECT * FROM {SLOTS}"
RETURN = "SELECT return_carrier_slots('dhl', 'operator', '1 s', now(), 1, 1)"
BY_KEY = "SELECT FROM carrier_budget WHERE carrier_code = 'dhl' AND owner = 'operator' FOR UPDATE"
OUTBOX = "INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)"


@pytest.fixture
async def held(dsn: str) -> AsyncIterator[None]:
    """Somebody's long transaction."""
    holder = await asyncpg.connect(dsn)
    await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
    yield
    await holder.close()


async def pages(pool: Pool, statement: str, **parameters: int) -> int:
    """How many pages a statement looks at."""
    for name, value in parameters.items():
        statement = statement.replace(f":{name}", str(value))
    async with pool.acquire() as connection:
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
    plan: dict[str, Any] = json.loads(told)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_a_quotas_row_is_found_by_its_newest_version(
    worker_pool: Pool, admin_pool: Pool, held: None
) -> None:
    await worker_pool.fetch(TAKE)
    await worker_pool.fetch(f"SELECT {SLOTS} FROM generate_series(1, {VERSIONS})")
    found = await worker_pool.fetchrow(TAKE)
    assert found is not None
    assert found["wait"] > timedelta(seconds=VERSIONS / 2), "each took its own slot"
    assert await pages(worker_pool, TAKE) < FEW_PAGES
    assert await pages(worker_pool, RETURN) < FEW_PAGES
    # By its key alone it is found behind all that it was, and each look cost as much.
    async with admin_pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {BY_KEY}")
    assert json.loads(plan)[0]["Plan"]["Shared Hit Blocks"] > FEW_PAGES


async def test_what_was_told_costs_the_look_for_more_its_pages_and_not_its_rows(
    worker_pool: Pool, dsn: str, held: None
) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        f"{OUTBOX} SELECT nth % {ACCOUNTS} + 1, 1, 1, 'event', now()"
        f" FROM generate_series(1, {TOLD}) AS nth; DELETE FROM outbox"
    )
    assert [tuple(row) for row in await connection.fetch(DUE.due.sql)] == [(False, False)]
    await connection.execute(f"{OUTBOX} VALUES ({ACCOUNTS}, 1, 1, 'event', now())")
    size = await connection.fetchval("SELECT pg_relation_size('outbox') / 8192")
    await connection.close()
    assert [tuple(row) for row in await worker_pool.fetch(DUE.due.sql)] == [(True, False)]
    for look in (DUE.due.sql, FAN_OUT.few.sql.replace("$1", "501")):
        assert await pages(worker_pool, look) < size + FEW_PAGES
    assert await pages(worker_pool, "SELECT outbox_accounts(0, 1)") > 10 * size
