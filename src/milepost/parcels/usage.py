"""What an account used. Registrations are counted a moment later and in passing (``look_through``),
so that no registration waits for a counter; what is not counted yet is added when it is asked for.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels.find import QUERIES

MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class OptionUse:
    """A shipping option the account registered parcels with, at one carrier."""

    code: str
    carrier_code: str
    parcels: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class Registered:
    """Parcels registered on one UTC day for one carrier; erased ones stay counted."""

    day: date
    carrier_code: str
    parcels: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Parcels that one carrier was asked about on one UTC day, each time anew."""

    day: date
    carrier_code: str
    checks: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Registrations and checks from ``since`` to today (UTC), newest day first, and who is asked
    about now."""

    since: date
    until: date
    registered: tuple[Registered, ...]
    checked: tuple[Checked, ...]
    watched: dict[str, int]


async def shipping_options(pool: Pool, account_id: int) -> list[OptionUse]:
    """The shipping options of the account, last used first."""

    async def read() -> list[OptionUse]:
        async with tenant(pool, account_id) as connection:
            rows = QUERIES.used_options(connection, account_id=account_id)
            return [OptionUse(*row) async for row in rows]

    return await retrying(read)


async def usage_of(pool: Pool, account_id: int, days: int) -> Usage:
    """The last ``days`` days, today included (1 to ``MOST_DAYS``)."""
    today = datetime.now(UTC).date()
    since = today - timedelta(days=days - 1)

    async def read() -> Usage:
        async with tenant(pool, account_id) as connection:
            counted = QUERIES.registered_by_day(connection, account_id=account_id, since=since)
            registered = tuple([Registered(*row) async for row in counted])
            asked = QUERIES.checked_by_day(connection, account_id=account_id, since=since)
            checked = tuple([Checked(*row) async for row in asked])
            active = QUERIES.watched_by_carrier(connection, account_id=account_id)
            watched = {row["carrier_code"]: row["parcels"] async for row in active}
        return Usage(since, today, registered, checked, watched)

    return await retrying(read)
