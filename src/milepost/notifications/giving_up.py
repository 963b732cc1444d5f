"""Giving up what waits for a connection when nobody asks for it any more.

That may be a million deliveries: of so many only the first go with whatever ended it, and the lane
is shut until a worker has given up the rest, a piece in a transaction. So nothing of it is sent,
and what is told from then on waits behind it.
"""

from functools import partial

from milepost.db.pool import Connection, Pool, all_rows, retrying, tenant
from milepost.notifications.held import Lane
from milepost.notifications.statements import CONNECTIONS, GIVING_UP

AT_ONCE = 1000
"""Deliveries of one transaction: the lane is locked meanwhile."""
REASON = "what waited is being given up"
_LANES = 100


async def give_up(conn: Connection, account_id: int, connection_id: int) -> None:
    """Give up what waits there now. The transaction holds the account, so that nobody adds."""
    which = {"account_id": account_id, "connection_id": connection_id}
    await CONNECTIONS.hold_lane(conn, **which)
    some = await GIVING_UP.some(conn, **which, upto=None, parcel=0, most=AT_ONCE)
    if some["gone"] == AT_ONCE:
        await GIVING_UP.shut(conn, **which, reason=REASON)


async def give_up_the_rest(pool: Pool) -> int:
    """Of all accounts; how many deliveries. ``pool`` acts as milepost_worker.

    It may be stopped anywhere, and any number of workers may be at it.
    """
    gone = 0
    while rows := await all_rows(lambda: GIVING_UP.unfinished(pool, most=_LANES)):
        for row in rows:
            gone += await _finish(pool, Lane(row["account_id"], row["connection_id"]))
    return gone


async def _finish(pool: Pool, lane: Lane) -> int:
    which = {"account_id": lane.account_id, "connection_id": lane.connection_id}

    async def piece(parcel: int) -> tuple[int, int]:
        """How many, and from which parcel it goes on."""
        async with tenant(pool, lane.account_id) as conn:
            upto = (await GIVING_UP.held(conn, **which) or {"gives_up_to": None})["gives_up_to"]
            if upto is None:
                return 0, parcel
            some = await GIVING_UP.some(conn, **which, upto=upto, parcel=parcel, most=AT_ONCE)
            await GIVING_UP.release(conn, **which, delivery_ids=some["delivery_ids"])
            if some["gone"] < AT_ONCE:
                await GIVING_UP.done(conn, **which, reason=REASON)
            return some["gone"], some["parcel"]

    gone, parcel, last = 0, 0, AT_ONCE
    while last == AT_ONCE:
        last, parcel = await retrying(partial(piece, parcel), seconds=None)
        gone += last
    return gone
