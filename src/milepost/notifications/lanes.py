"""A connection's lane set going again."""

from milepost.db.pool import Connection
from milepost.errors import NotFoundError
from milepost.notifications.giving_up import REASON
from milepost.notifications.statements import CONNECTIONS


async def resume(conn: Connection, account_id: int, connection_id: int) -> None:
    """It delivers from now on, in whatever state it was: all that waits, the oldest first.

    What failed for good while a connection was failing until it was disabled is sent, too; before
    that, a failure is only repeated when somebody asks for it. Raises NotFoundError.
    """
    which = {"account_id": account_id, "connection_id": connection_id}
    lane = await CONNECTIONS.hold_lane(conn, **which)
    if lane is None:
        raise NotFoundError
    await CONNECTIONS.make_due(conn, **which)
    if lane["state"] == "disabled" and lane["failing_since"] is not None:
        failed = CONNECTIONS.take_up(conn, **which, since=lane["failing_since"])
        parcel_ids = sorted({row["parcel_id"] async for row in failed})
        await CONNECTIONS.put_in_order(conn, **which, parcel_ids=parcel_ids)
    await CONNECTIONS.open_lane(conn, **which, reason=REASON)


async def try_again(conn: Connection, account_id: int, connection_id: int) -> None:
    """A connection leads elsewhere: what it failed at may go well now.

    One that its owner paused stays so, and one that does well is left alone.
    """
    which = {"account_id": account_id, "connection_id": connection_id}
    lane = await CONNECTIONS.hold_lane(conn, **which)
    if lane is None or lane["state"] == "paused":
        return
    if lane["state"] == "disabled" or lane["failing_since"] is not None:
        await resume(conn, account_id, connection_id)
