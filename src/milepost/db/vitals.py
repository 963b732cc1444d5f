"""How PostgreSQL is: transactions, connections, rows, sizes; read as the login, not as a role.

The login sees its own sessions, and those of others only as a superuser or with
``pg_read_all_stats``; ``hidden_sessions`` says how many it did not see.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from milepost.db.pool import Connection, load_queries

QUERIES: Any = load_queries(Path(__file__).with_name("vitals.sql"))

HOT_TABLES = (
    *("watch", "lane", "rate_window", "parcel", "outbox", "event"),
    *("delivery", "delivery_lane", "feed_head"),
)
"""Those whose rows are rewritten or removed all the time."""


@dataclass(frozen=True, slots=True)
class InUse:
    """So many of our connections act as a role and are in a state (``active``, ``idle``, ...)."""

    role: str
    state: str
    connections: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot and the WAL it keeps, in bytes."""

    name: str
    active: bool
    retained_bytes: int


@dataclass(frozen=True, slots=True)
class TableState:
    """A table's rows as PostgreSQL estimates them."""

    name: str
    live: int
    dead: int
    vacuumed_at: datetime | None
    vacuum_off: bool
    bytes: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """One look. Ages in seconds, except ``oldest_xmin_age`` and ``frozen_age``: transactions.

    ``most_connections`` leaves out those kept for superusers; ``wal_bytes`` is None where the login
    may not ask.
    """

    clock: datetime
    oldest_transaction_seconds: float
    oldest_idle_seconds: float
    oldest_xmin_age: int
    hidden_sessions: int
    frozen_age: int
    used_connections: int
    most_connections: int
    database_bytes: int
    wal_bytes: int | None
    in_use: tuple[InUse, ...]
    slots: tuple[Slot, ...]
    tables: tuple[TableState, ...]


async def read_vitals(connection: Connection) -> Vitals:
    """Look once; ``connection`` acts as the login itself."""
    activity = dict(await QUERIES.activity(connection))
    may_see_wal = activity.pop("may_see_wal")
    return Vitals(
        **activity,
        wal_bytes=await QUERIES.wal_bytes(connection) if may_see_wal else None,
        in_use=tuple([InUse(**dict(row)) async for row in QUERIES.connections(connection)]),
        slots=tuple([Slot(**dict(row)) async for row in QUERIES.slots(connection)]),
        tables=tuple([TableState(**dict(row)) async for row in QUERIES.tables(connection)]),
    )
