"""While an account is suspended its subscribers are told nothing, and nothing of it is lost.

Its lanes are shut as by a pause, and opened when the suspension is lifted. One that its owner had
paused, or that was disabled, is neither.
"""

from milepost.accounts.keys import suspended_accounts
from milepost.db.pool import Connection, Pool, all_rows, retrying, tenant
from milepost.notifications import giving_up
from milepost.notifications.statements import SUSPENDING

REASON = "the account is suspended"


async def heed(pool: Pool) -> None:
    """Shut the lanes of suspended accounts, open those of accounts that no longer are.

    ``pool`` acts as milepost_worker. Any number of processes may do so.
    """
    suspended = await suspended_accounts(pool)
    rows = await all_rows(lambda: SUSPENDING.shut_accounts(pool, reason=REASON))
    for account_id in sorted(suspended | {row["account_id"] for row in rows}):
        await _heed_one(pool, account_id, account_id in suspended)


async def _heed_one(pool: Pool, account_id: int, is_suspended: bool) -> None:
    async def once() -> None:
        async with tenant(pool, account_id) as conn:
            await (_shut if is_suspended else _open)(conn, account_id)

    await retrying(once, seconds=None)


async def _shut(conn: Connection, account_id: int) -> None:
    await SUSPENDING.shut(conn, account_id=account_id, reason=REASON, giving_up=giving_up.REASON)


async def _open(conn: Connection, account_id: int) -> None:
    await SUSPENDING.open(conn, account_id=account_id, reason=REASON, giving_up=giving_up.REASON)
