"""Forgetting what this room keeps of an account, a bounded piece at a time, the oldest first.

Every function takes what is older than ``before``, at most ``most`` rows, and says how many there
were: fewer than ``most`` means that nothing is left to do.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

from milepost.db.accounts import account_by_account
from milepost.db.pool import Pool, load_queries, retrying, tenant
from milepost.parcels.erase import erase
from milepost.parcels.find import QUERIES as PARCELS

QUERIES: Any = load_queries(Path(__file__).with_name("retention.sql"))
ACTOR = "retention"


def accounts(pool: Pool) -> AsyncIterator[int]:
    """Every account that ever registered a parcel, as the worker knows them: by their lanes."""
    return account_by_account(
        lambda after, most: PARCELS.accounts_with_parcels(pool, after=after, most=most)
    )


async def forget_parcels(pool: Pool, account_id: int, before: datetime, most: int) -> int:
    """Erase parcels about which nothing has changed for so long, as a person's request would."""

    async def silent() -> list[int]:
        async with tenant(pool, account_id) as conn:
            rows = QUERIES.parcels_to_forget(conn, account_id=account_id, before=before, most=most)
            return [row["parcel_id"] async for row in rows]

    found = await retrying(silent)
    for parcel_id in found:
        await erase(pool, account_id, parcel_id, ACTOR)
    return len(found)


async def forget_timings(pool: Pool, account_id: int, before: datetime, most: int) -> int:
    """Anonymous milestones."""
    return await _forget(pool, account_id, before, most, QUERIES.forget_timings)


async def forget_audit(pool: Pool, account_id: int, before: datetime, most: int) -> int:
    """Who changed what; a month is kept whatever ``before`` says."""
    return await _forget(pool, account_id, before, most, QUERIES.forget_audit)


async def _forget(pool: Pool, account_id: int, before: datetime, most: int, statement: Any) -> int:
    async def once() -> int:
        async with tenant(pool, account_id) as conn:
            gone: int = await statement(conn, account_id=account_id, before=before, most=most)
            return gone

    return await retrying(once, seconds=None)
