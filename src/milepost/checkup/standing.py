"""What is read of the database, once, for the checks to judge."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import asyncpg

from milepost.carriers.registry import Catalogue
from milepost.db.migrate import current_revision
from milepost.db.migration_files import migrations
from milepost.db.pool import Connection, Role, load_queries, session_settings
from milepost.db.vitals import Vitals, read_vitals
from milepost.monitoring.queues import Queues, read_queues
from milepost.notifications.waiting import Telling, read_telling
from milepost.settings import Settings

QUERIES: Any = load_queries(Path(__file__).with_name("standing.sql"))
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class RoleStanding:
    """A role of ours. ``bypasses``: policies don't hold for it."""

    name: str
    granted: bool
    bypasses: bool


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds for a connection that acts as ``role``; milliseconds, 0 is no limit."""

    role: str
    synchronous_commit: str
    statement_ms: int
    lock_ms: int
    idle_ms: int


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A code no rule maps, and how often it came."""

    carrier_code: str
    raw_code: str
    seen: int


@dataclass(frozen=True, slots=True)
class Route:
    """A documented host and where it is reached instead."""

    host: str
    base_url: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What our own tables say; read only where the schema is this version's."""

    fingerprint: str
    queues: Queues
    telling: Telling
    unmapped: tuple[Unmapped, ...]
    routes: tuple[Route, ...]
    in_force: tuple[InForce, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything; ``clock_seconds`` is how far the database's clock is ahead of ours."""

    version: int
    encoding: str
    fsync: str
    full_page_writes: str
    data_checksums: str
    autovacuum: str
    in_recovery: bool
    login: str
    revision: str | None
    wanted_revision: str
    clock_seconds: float
    roles: tuple[RoleStanding, ...]
    unguarded: tuple[str, ...]
    vitals: Vitals
    contents: Contents | None


async def read_standing(dsn: str, settings: Settings) -> Standing:
    """Read it, as the login and as each role. Raises what the driver raises."""
    connection = await asyncpg.connect(
        dsn,
        timeout=settings.connect_seconds,
        server_settings={"application_name": "milepost_doctor", "search_path": "public"},
        command_timeout=settings.statement_seconds_jobs,
    )
    try:
        row = dict(await QUERIES.standing(connection))
        revision = await current_revision(connection) if row.pop("migrated") else None
        wanted = migrations()[-1].revision
        roles = [RoleStanding(**dict(one)) async for one in QUERIES.roles(connection)]
        usable = {role.name for role in roles if role.granted}
        contents = None
        if revision == wanted and usable.issuperset(ROLES):
            contents = await _contents(connection, dsn, settings)
        return Standing(
            **row,
            revision=revision,
            wanted_revision=wanted,
            clock_seconds=await _clock(connection),
            roles=tuple(roles),
            unguarded=tuple([one["name"] async for one in QUERIES.unguarded(connection)]),
            vitals=await read_vitals(connection),
            contents=contents,
        )
    finally:
        await connection.close()


async def _clock(connection: Connection) -> float:
    """The database's clock less ours, at the middle of the question."""
    asked, started = datetime.now(UTC), time.monotonic()
    said: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return (said - asked).total_seconds() - (time.monotonic() - started) / 2


async def _contents(connection: Connection, dsn: str, settings: Settings) -> Contents:
    unmapped = [Unmapped(**dict(one)) async for one in QUERIES.unmapped(connection)]
    routes = [Route(**dict(one)) async for one in QUERIES.routes(connection)]
    fingerprint: str = await QUERIES.fingerprint(connection)
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL ROLE milepost_admin")
        queues = await read_queues(connection, Catalogue.load().asked_code)
        telling = await read_telling(connection)
    in_force = [await _in_force(dsn, role, settings) for role in ROLES]
    return Contents(fingerprint, queues, telling, tuple(unmapped), tuple(routes), tuple(in_force))


async def _in_force(dsn: str, role: Role, settings: Settings) -> InForce:
    """As the pools connect; what the database forces upon a role shows here."""
    connection = await asyncpg.connect(
        dsn, timeout=settings.connect_seconds, server_settings=session_settings(role, settings)
    )
    try:
        return InForce(**dict(await QUERIES.in_force(connection)))
    finally:
        await connection.close()
