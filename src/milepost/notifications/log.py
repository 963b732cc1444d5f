"""The delivery log: what was told to a connection, what came back, and what is still on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import NotFoundError
from milepost.notifications.statements import LOG
from milepost.parcels.cursor import Place, cursor_of, place_of_cursor
from milepost.parcels.listing import ForeignCursor

STATES = ("pending", "delivered", "failed", "cancelled")
MOST_ATTEMPTS = 100
"""Attempts of a delivery that are shown, the last ones: replays make more of them."""
_GREATEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request and what came of it. ``answer`` is its beginning, headers are without secrets."""

    attempt: int
    started_at: datetime
    milliseconds: int
    outcome: str
    status: int | None
    error: str
    request_headers: Mapping[str, str]
    answer: bytes


@dataclass(frozen=True, slots=True)
class Logged:
    """A delivery. ``parcel_id`` is 0 for what is of no parcel.

    ``attempts`` are those since it was replayed last. ``next_attempt_at`` is None where none is to
    come, or an earlier one of its parcel goes first. ``tried_at``, ``outcome``, ``status`` and
    ``error`` are of the last attempt.
    """

    delivery_id: int
    connection_id: int
    parcel_id: int
    state: str
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    replayed_at: datetime | None
    event_id: str
    sequence: int
    action: str
    form: str
    next_attempt_at: datetime | None
    tried_at: datetime | None
    outcome: str | None
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries, how many on a page, and from where on; empty parts say nothing."""

    state: str | None = None
    parcel_id: int | None = None
    since: datetime | None = None
    size: int = 50
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Deliveries, the newest first, and the cursor of the next page; ``""`` behind the last."""

    deliveries: Sequence[Logged]
    next_cursor: str


async def page(pool: Pool, account_id: int, connection_id: int, wanted: Wanted) -> Page:
    """A page of what was told to a connection. Raises NotFoundError, ForeignCursor.

    What comes anew while it is read moves nothing: pages go on below the last id.
    """
    named = [account_id, connection_id, wanted.state, wanted.parcel_id, wanted.since]
    bound_to = orjson.dumps(["deliveries", *named])
    below = _GREATEST_ID
    if wanted.cursor:
        place = place_of_cursor(wanted.cursor, bound_to)
        if place is None:
            raise ForeignCursor
        below = place.parcel_id

    async def look_up() -> list[Logged]:
        async with tenant(pool, account_id) as conn:
            await see_connection(conn, account_id, connection_id)
            return await _rows(conn, account_id, connection_id, wanted, below)

    rows = await retrying(look_up)
    shown = rows[: wanted.size]
    more = len(rows) > wanted.size
    last = Place(shown[-1].created_at, shown[-1].delivery_id) if more else None
    return Page(shown, cursor_of(last, bound_to) if last else "")


async def one(
    pool: Pool, account_id: int, delivery_id: int
) -> tuple[Logged, bytes, Sequence[Attempt]]:
    """A delivery, its body, and its attempts, the last first. Raises NotFoundError."""
    which = {"account_id": account_id, "delivery_id": delivery_id}

    async def look_up() -> tuple[Logged, bytes, list[Attempt]]:
        async with tenant(pool, account_id) as conn:
            place = await LOG.place_of(conn, **which)
            if place is None:
                raise NotFoundError
            only = Wanted(size=0)
            below = delivery_id + 1
            (logged,) = await _rows(conn, account_id, place["connection_id"], only, below)
            rows = LOG.attempts(conn, **which, most=MOST_ATTEMPTS)
            return logged, place["body"], [Attempt(**row) async for row in rows]

    return await retrying(look_up)


async def see_connection(conn: Connection, account_id: int, connection_id: int) -> None:
    """Raises NotFoundError where there is no such connection, or it is deleted."""
    if not await LOG.is_known(conn, account_id=account_id, connection_id=connection_id):
        raise NotFoundError


async def _rows(
    conn: Connection, account_id: int, connection_id: int, wanted: Wanted, below: int
) -> list[Logged]:
    """One more than a page has."""
    # The right plan depends on the values: one parcel's deliveries are few, a state's may be all.
    await conn.execute("SET LOCAL plan_cache_mode = force_custom_plan")
    which: dict[str, Any] = {"account_id": account_id, "connection_id": connection_id}
    least = 0
    if wanted.since is not None:
        least = await LOG.since(conn, **which, since=wanted.since)
    rows = LOG.page(
        conn,
        **which,
        least=least,
        below=below,
        since=wanted.since,
        state=wanted.state,
        parcel_id=wanted.parcel_id,
        most=wanted.size + 1,
    )
    return [Logged(**row) async for row in rows]
