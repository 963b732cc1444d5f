"""How an account's connections do, and stopping and starting them by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import NotFoundError
from milepost.notifications import lanes
from milepost.notifications.connections import note
from milepost.notifications.log import see_connection
from milepost.notifications.statements import HEALTH
from milepost.parcels.cursor import Place, cursor_of, place_of_cursor
from milepost.parcels.listing import ForeignCursor

STATES = ("open", "resting", "paused", "disabled")
COUNTED = 1000
"""Pending deliveries, and attempts of the last hours, that are counted at most."""
HOURS = 24
BY_HAND = "paused by hand"


@dataclass(frozen=True, slots=True)
class Health:
    """A connection's. ``state`` is one of ``STATES``, ``reason`` of the last failure or the pause.

    ``pending`` is ``COUNTED`` + 1 where there are more than ``COUNTED``; then ``oldest_at``, when
    the oldest of them was made, is of those whose turn comes first. ``attempts`` and ``delivered``
    are of the last ``HOURS``, the newest ``COUNTED``.
    """

    connection_id: int
    kind: str
    form: str
    name: str
    url: str
    created_at: datetime
    state: str
    reason: str
    failures: int
    failing_since: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    rests_until: datetime | None
    pending: int
    oldest_at: datetime | None
    next_attempt_at: datetime | None
    attempts: int
    delivered: int


async def page_of_health(
    pool: Pool, account_id: int, size: int, cursor: str = ""
) -> tuple[Sequence[Health], str]:
    """Connections of every kind, the oldest first, and the cursor of the next page (or "").

    Raises ForeignCursor.
    """
    bound_to = orjson.dumps(["connections", account_id])
    after = 0
    if cursor:
        place = place_of_cursor(cursor, bound_to)
        if place is None:
            raise ForeignCursor
        after = place.parcel_id

    async def look_up() -> list[Health]:
        async with tenant(pool, account_id) as conn:
            return await _rows(conn, account_id, None, after, size + 1)

    found = await retrying(look_up)
    shown = found[:size]
    last = shown[-1] if len(found) > size else None
    more = cursor_of(Place(last.created_at, last.connection_id), bound_to) if last else ""
    return shown, more


async def health_of(pool: Pool, account_id: int, connection_id: int) -> Health:
    """One connection's. Raises NotFoundError."""

    async def look_up() -> list[Health]:
        async with tenant(pool, account_id) as conn:
            return await _rows(conn, account_id, connection_id, 0, 1)

    for health in await retrying(look_up):
        return health
    raise NotFoundError


async def pause(pool: Pool, account_id: int, connection_id: int, actor: str) -> None:
    """Send nothing to a connection until it is resumed; what is told meanwhile is kept for it.

    What is under way is finished. One that is paused or disabled already stays as it is. Raises
    NotFoundError.
    """

    async def once() -> None:
        async with tenant(pool, account_id) as conn:
            await see_connection(conn, account_id, connection_id)
            paused = await HEALTH.pause(
                conn, account_id=account_id, connection_id=connection_id, reason=BY_HAND
            )
            if paused is not None:
                await note(conn, account_id, actor, "connection.paused", connection_id)

    await retrying(once)


async def resume(pool: Pool, account_id: int, connection_id: int, actor: str) -> None:
    """Deliver to a connection again, whatever stopped it: all that waits, the oldest first.

    Raises NotFoundError.
    """

    async def once() -> None:
        async with tenant(pool, account_id) as conn:
            await see_connection(conn, account_id, connection_id)
            await lanes.resume(conn, account_id, connection_id)
            await note(conn, account_id, actor, "connection.resumed", connection_id)

    await retrying(once)


async def _rows(
    conn: Connection, account_id: int, connection_id: int | None, after: int, most: int
) -> list[Health]:
    rows = HEALTH.health(
        conn,
        account_id=account_id,
        connection_id=connection_id,
        after=after,
        most=most,
        counted=COUNTED,
        hours=HOURS,
    )
    return [Health(**row) async for row in rows]
