"""While an account is suspended its subscribers are told nothing, and nothing of it is lost.

Its lanes are shut as by a pause, and opened when the suspension is lifted. One that its owner had
paused, or that was disabled, is neither.
"""

from collections.abc import Awaitable, Callable

from milepost.accounts.keys import suspended_accounts
from milepost.db.pool import Connection, Pool, all_rows, retrying, tenant
from milepost.notifications import giving_up
from milepost.notifications.statements import SUSPENDING

REASON = "the account is suspended"


async def heed(pool: Pool, before: frozenset[int] | None = None) -> frozenset[int]:
    """Shut the lanes of suspended accounts, open those of accounts that no longer are.

    Which accounts are suspended now, to be told as ``before`` the next time: of those that are no
    longer, lanes are opened. Without it, at first and after a fault, every lane that is shut is
    looked at. ``pool`` acts as milepost_worker. Any number of processes may do so.
    """
    suspended = frozenset(await suspended_accounts(pool))
    # There may be thousands that nobody ever lifts: only where there is something to do.
    telling = await all_rows(
        lambda: SUSPENDING.telling_accounts(
            pool, account_ids=sorted(suspended), giving_up=giving_up.REASON
        )
    )
    for row in telling:
        await _in_account(pool, row["account_id"], _shut)
    if before is None:
        rows = await all_rows(lambda: SUSPENDING.shut_accounts(pool, reason=REASON))
        before = frozenset(row["account_id"] for row in rows)
    for account_id in sorted(before - suspended):
        await _in_account(pool, account_id, _open)
    return suspended


async def _in_account(
    pool: Pool, account_id: int, work: Callable[[Connection, int], Awaitable[None]]
) -> None:
    async def once() -> None:
        async with tenant(pool, account_id) as conn:
            await work(conn, account_id)

    await retrying(once, seconds=None)


async def _shut(conn: Connection, account_id: int) -> None:
    await SUSPENDING.shut(conn, account_id=account_id, reason=REASON, giving_up=giving_up.REASON)


async def _open(conn: Connection, account_id: int) -> None:
    await SUSPENDING.open(conn, account_id=account_id, reason=REASON, giving_up=giving_up.REASON)
