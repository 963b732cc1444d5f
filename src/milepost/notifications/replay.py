"""Sending again what was sent before: the same body, under the same event id.

Only what was a delivery before is sent again. What was recorded before a connection was there, or
was not asked for by its subscriptions, is in the event feed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import NotFoundError
from milepost.notifications.log import see_connection
from milepost.notifications.statements import LOG
from milepost.parcels.cursor import Place, cursor_of, place_of_cursor
from milepost.parcels.listing import ForeignCursor
from milepost.parcels.statements import CHANGES

FINISHED = ("delivered", "failed")
"""What a replay since a time takes, unless it is asked for one of them."""
AT_ONCE = 500
"""Deliveries of one transaction: its lane is locked meanwhile."""
MOST = 10_000
"""Deliveries of one call."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many, and the cursor of what is left; ``""``: nothing is."""

    deliveries: int
    next_cursor: str


async def replay(pool: Pool, account_id: int, delivery_id: int, actor: str) -> None:
    """Send one delivery again; one that waits for its next attempt need not wait any longer.

    It keeps its place: where later ones of its parcel wait, it goes first. Raises NotFoundError.
    """

    async def once() -> None:
        async with tenant(pool, account_id) as conn:
            place = await LOG.place_of(conn, account_id=account_id, delivery_id=delivery_id)
            if place is None:
                raise NotFoundError
            connection_id = place["connection_id"]
            await _send_again(conn, account_id, connection_id, [delivery_id])
            about = {"connection_id": connection_id, "delivery_id": delivery_id}
            await _note(conn, account_id, actor, "delivery.replayed", about)

    await retrying(once)


async def replay_since(
    pool: Pool,
    account_id: int,
    connection_id: int,
    since: datetime,
    actor: str,
    states: Sequence[str] = FINISHED,
    cursor: str = "",
) -> Replayed:
    """Send everything again that was made for a connection since then and is over, in order.

    At most ``MOST``; ``cursor`` goes on behind those. What is made while it is replayed is not.
    Raises NotFoundError, ForeignCursor.
    """
    which: dict[str, Any] = {"account_id": account_id, "connection_id": connection_id}
    bound_to = orjson.dumps(["replay", account_id, connection_id, since, list(states)])
    place = Place(datetime.now(UTC), 0)
    if cursor:
        found = place_of_cursor(cursor, bound_to)
        if found is None:
            raise ForeignCursor
        place = found
    until, least = place.at, place.parcel_id
    about = {"connection_id": connection_id, "since": since.isoformat()}

    async def some(least: int) -> list[int]:
        async with tenant(pool, account_id) as conn:
            await see_connection(conn, account_id, connection_id)
            least = least or await LOG.since(conn, **which, since=since)
            rows = LOG.finished_since(
                conn,
                **which,
                least=least,
                since=since,
                until=until,
                states=list(states),
                most=AT_ONCE,
            )
            ids = [row["delivery_id"] async for row in rows]
            if ids:
                await _send_again(conn, account_id, connection_id, ids)
                counted = about | {"deliveries": len(ids)}
                await _note(conn, account_id, actor, "connection.replayed", counted)
            return ids

    replayed = 0
    while replayed < MOST:
        from_id = least
        ids = await retrying(lambda: some(from_id))  # noqa: B023 awaited before it changes
        replayed += len(ids)
        if len(ids) < AT_ONCE:
            return Replayed(replayed, "")
        least = ids[-1] + 1
    return Replayed(replayed, cursor_of(Place(until, least), bound_to))


async def _send_again(
    conn: Connection, account_id: int, connection_id: int, delivery_ids: Sequence[int]
) -> None:
    # None: its connection is going away at this moment.
    which = {"account_id": account_id, "connection_id": connection_id}
    if await LOG.replay(conn, **which, delivery_ids=delivery_ids) is None:
        raise NotFoundError


async def _note(
    conn: Connection, account_id: int, actor: str, action: str, detail: dict[str, Any]
) -> None:
    await CHANGES.note(
        conn, account_id=account_id, actor=actor, action=action, parcel_id=None, detail=detail
    )
