"""Forgetting what was told: feed, messages and deliveries by account, attempts by the month."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

from milepost.db.accounts import account_by_account
from milepost.db.pool import Pool, retrying, tenant
from milepost.notifications.statements import FORGET

MONTHS_AHEAD = 3


def accounts(pool: Pool) -> AsyncIterator[int]:
    """Every account that ever had something to tell."""
    return account_by_account(lambda after, most: FORGET.telling(pool, after=after, most=most))


async def forget(pool: Pool, account_id: int, before: datetime, most: int) -> int:
    """Forget what was told before ``before``, the oldest first, at most ``most`` of each kind.

    How many there were: fewer than ``most`` means that nothing is left to do. What is pending by
    then is given up.
    """

    async def forget_counts() -> None:
        async with tenant(pool, account_id) as conn:
            await FORGET.forget_mail_counts(conn, account_id=account_id)

    await retrying(forget_counts, seconds=None)
    gone = await retrying(
        lambda: pool.fetchval("SELECT forget_old_told($1, $2, $3)", account_id, before, most),
        seconds=None,
    )
    return int(gone)


async def make_months(pool: Pool) -> int:
    """See that this month's attempts and the next ones' have a part of their own."""
    today = datetime.now(UTC).date()
    made = await retrying(
        lambda: pool.fetchval("SELECT make_delivery_attempt_months($1, $2)", today, MONTHS_AHEAD)
    )
    return int(made)


async def drop_months(pool: Pool, before: datetime) -> int:
    """Drop the months of attempts that were over at ``before``; how many there were."""
    dropped = await retrying(
        lambda: pool.fetchval("SELECT drop_delivery_attempt_months($1)", before), seconds=None
    )
    return int(dropped)
