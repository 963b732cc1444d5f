"""Subscriptions of the Event Subscriptions API: which events go to a connection."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import asyncpg

from milepost.db.pool import Connection
from milepost.errors import InvalidFields, NotFoundError
from milepost.notifications.connections import found as connection_found
from milepost.notifications.connections import hold_account, note
from milepost.notifications.faults import Fault
from milepost.notifications.filters import Filter
from milepost.notifications.giving_up import give_up
from milepost.notifications.statements import SUBSCRIPTIONS

MOST = 500
"""Subscriptions of an account."""
_NO_CONNECTION = "There is no such connection."

KnowsCarrier = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants of a subscription; None: as it is, or as it is by default."""

    connection_id: int | None = None
    event_type: str | None = None
    is_active: bool | None = None
    filters: Filter | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """One, as it is shown."""

    subscription_id: int
    connection_id: int
    event_type: str
    is_active: bool
    filters: Filter
    created_at: datetime
    updated_at: datetime


async def create(
    conn: Connection, account_id: int, wanted: Wanted, knows: KnowsCarrier, actor: str
) -> Subscription:
    """A new one. ``knows`` says of a code whether it is a carrier's, ``actor`` who asked for it.

    Raises Fault, InvalidFields.
    """
    await hold_account(conn, account_id)
    await _check(conn, account_id, wanted, knows)
    if await SUBSCRIPTIONS.counted(conn, account_id=account_id) >= MOST:
        why = f"An account has at most {MOST} subscriptions."
        raise Fault(("body",), why, "non_field_errors")
    row = await SUBSCRIPTIONS.add(
        conn,
        account_id=account_id,
        connection_id=wanted.connection_id,
        event_type=wanted.event_type,
        is_active=wanted.is_active is not False,
        filters=_kept(wanted.filters or Filter()),
    )
    await note(conn, account_id, actor, "subscription.created", row["connection_id"])
    return _subscription(row)


async def change(
    conn: Connection,
    account_id: int,
    subscription_id: int,
    wanted: Wanted,
    knows: KnowsCarrier,
    actor: str,
) -> Subscription:
    """Only what is given. Raises NotFoundError, InvalidFields."""
    await hold_account(conn, account_id)
    await found(conn, account_id, subscription_id)
    await _check(conn, account_id, wanted, knows)
    row = await SUBSCRIPTIONS.change(
        conn,
        account_id=account_id,
        subscription_id=subscription_id,
        connection_id=wanted.connection_id,
        event_type=wanted.event_type,
        is_active=wanted.is_active,
        filters=None if wanted.filters is None else _kept(wanted.filters),
    )
    await note(conn, account_id, actor, "subscription.changed", row["connection_id"])
    return _subscription(row)


async def listed(
    conn: Connection, account_id: int, event_type: str | None, is_active: bool | None
) -> list[Subscription]:
    """An account's, the oldest first."""
    rows = SUBSCRIPTIONS.listed(
        conn, account_id=account_id, event_type=event_type, is_active=is_active
    )
    return [_subscription(row) async for row in rows]


async def found(conn: Connection, account_id: int, subscription_id: int) -> Subscription:
    """One of an account's. Raises NotFoundError."""
    row = await SUBSCRIPTIONS.found(conn, account_id=account_id, subscription_id=subscription_id)
    if row is None:
        raise NotFoundError
    return _subscription(row)


async def delete(conn: Connection, account_id: int, subscription_id: int, actor: str) -> None:
    """It ends; what waits for a connection that no other subscription asks for is not delivered.

    Raises NotFoundError.
    """
    await hold_account(conn, account_id)
    connection_id = await SUBSCRIPTIONS.forget(
        conn, account_id=account_id, subscription_id=subscription_id
    )
    if connection_id is None:
        raise NotFoundError
    await note(conn, account_id, actor, "subscription.deleted", connection_id)
    which = {"account_id": account_id, "connection_id": connection_id}
    if not await SUBSCRIPTIONS.is_asked(conn, **which):
        await give_up(conn, **which)


async def _check(conn: Connection, account_id: int, wanted: Wanted, knows: KnowsCarrier) -> None:
    wrong = list(_unknown_carriers(wanted.filters or Filter(), knows))
    if wanted.connection_id is not None:
        try:
            await connection_found(conn, account_id, wanted.connection_id)
        except NotFoundError:
            wrong.append(Fault(("connection_id",), _NO_CONNECTION, "not_found"))
    if wrong:
        raise InvalidFields(*wrong)


def _unknown_carriers(filters: Filter, knows: KnowsCarrier) -> Iterator[Fault]:
    for code in sorted(filters.carriers):
        if not knows(code):
            why = f'"{code}" is no carrier.'
            yield Fault(("filters", "carriers"), why, "invalid_choice")


def _kept(filters: Filter) -> Mapping[str, Any]:
    """What is asked, as ``Filter.of`` reads it."""
    return {
        name: sorted(asked) if isinstance(asked, frozenset) else asked
        for name, asked in asdict(filters).items()
        if asked
    }


def _subscription(row: asyncpg.Record) -> Subscription:
    return Subscription(
        subscription_id=row["subscription_id"],
        connection_id=row["connection_id"],
        event_type=row["event_type"],
        is_active=row["is_active"],
        filters=Filter.of(row["filters"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
