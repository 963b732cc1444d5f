"""Rows of the schedule while the clock stands still."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
LEASE = timedelta(seconds=60)
FOREVER = datetime.max  # noqa: DTZ901 asyncpg's infinity has no zone
PARCELS = 16
ROWS = "SELECT * FROM watch ORDER BY parcel_id"
TURN = "SELECT turn_at FROM lane WHERE carrier_code = 'sandbox'"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def rows_of(session: asyncpg.Connection) -> dict[int, dict[str, Any]]:
    return {row["parcel_id"]: dict(row) for row in await session.fetch(ROWS)}
