"""The carriers' own answers as they came: months of them, made ahead and dropped as a whole."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels.find import QUERIES

MONTHS_AHEAD = 3


@dataclass(frozen=True, slots=True)
class RawPayload:
    """One answer about one parcel."""

    fetched_at: datetime
    content_type: str
    body: bytes


async def make_months(pool: Pool) -> int:
    """See that this month and the next have a part of their own; how many were made."""
    today = datetime.now(UTC).date()
    made = await retrying(
        lambda: pool.fetchval("SELECT make_raw_payload_months($1, $2)", today, MONTHS_AHEAD)
    )
    return int(made)


async def drop_months(pool: Pool, before: datetime) -> int:
    """Drop the months that were over at ``before``; how many there were."""
    dropped = await retrying(
        lambda: pool.fetchval("SELECT drop_raw_payload_months($1)", before), seconds=None
    )
    return int(dropped)


async def read(pool: Pool, account_id: int, parcel_id: int) -> list[RawPayload]:
    """What is kept of a parcel, oldest first."""

    async def ask() -> list[RawPayload]:
        async with tenant(pool, account_id) as conn:
            rows = QUERIES.raw_payloads(conn, account_id=account_id, parcel_id=parcel_id)
            return [
                RawPayload(row["fetched_at"], row["content_type"], zlib.decompress(row["payload"]))
                async for row in rows
            ]

    return await retrying(ask)
