"""Going through parcels once, some minutes after their registration: each is counted, and gets the
words it is found by where the version before registered it without.

Restartable at any point: how far it went is kept in the statement that keeps what it found.
"""

from datetime import timedelta

from milepost.db.jobs import Turn, only_one
from milepost.db.pool import Pool, retrying
from milepost.parcels.retention import accounts
from milepost.parcels.search import lexemes

EVERY = timedelta(minutes=5)
LEASE = timedelta(minutes=2)
BATCH = 200
KEPT_EVERY = 500
"""Accounts, until the turn is kept though none of them had anything new."""


async def look_through_in_turn(pool: Pool) -> None:
    """``look_through``, if no other process has it in hand or did it moments ago."""
    every = EVERY.total_seconds() * 0.9
    async with only_one(pool, "look_through", LEASE.total_seconds(), every=every) as turn:
        if turn is not None:
            await look_through(pool, turn)


async def look_through(pool: Pool, turn: Turn) -> int:
    """Go through the new parcels of all accounts; how many. ``pool`` acts as the worker.

    Costs one look-up for each account that has none. Raises JobLost when the turn is over.
    """
    seen = looked_into = 0
    async for account_id in accounts(pool):
        while step := await look_further(pool, account_id):
            seen += step
            await turn.keep()
        looked_into += 1
        if looked_into % KEPT_EVERY == 0:
            await turn.keep()
    turn.outcome = {"parcels": seen}
    return seen


async def look_further(pool: Pool, account_id: int) -> int:
    """The next parcels of one account, ``BATCH`` at most; how many, 0 for no more."""
    rows = await retrying(
        lambda: pool.fetch("SELECT * FROM unseen_parcels($1, $2)", account_id, BATCH)
    )
    if not rows:
        return 0
    words = [
        {
            "parcel_id": row["parcel_id"],
            "revision": row["revision"],
            "words": lexemes(
                account_id,
                row["carrier_code"],
                row["tracking_number"],
                row["source_id"],
                row["request"],
            ),
        }
        for row in rows
        if not row["has_words"]
    ]
    mark, upto = rows[0]["mark"], rows[-1]["parcel_id"]
    kept = await retrying(
        lambda: pool.fetchval("SELECT keep_seen($1, $2, $3, $4)", account_id, mark, upto, words)
    )
    return len(rows) if kept else 0
