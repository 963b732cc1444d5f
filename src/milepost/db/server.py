"""Which PostgreSQL we use (the operator's or the bundled one) and whether it may be used."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from milepost.db.cluster import has_database
from milepost.db.embedded import EmbeddedPostgres
from milepost.errors import ConfigurationError
from milepost.settings import Settings

OLDEST_VERSION = 16


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL we may use. ``watch`` restarts a dead embedded one; elsewhere it does nothing.

    ``watch`` blocks (run it in a thread) and tells whether it had to restart anything.
    """

    dsn: str
    embedded: bool
    watch: Callable[[], bool]


@asynccontextmanager
async def server(settings: Settings, *, make: bool) -> AsyncIterator[Server]:
    """The database server of these settings, checked; the last user stops an embedded one.

    Without ``make`` an embedded one must have been made before. Raises ConfigurationError, one line
    long, where it can't be used.
    """
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        await check(dsn, settings)
        yield Server(dsn, False, lambda: False)
        return
    if not make and not has_database(settings.state_dir):
        raise ConfigurationError(
            f"there is no Milepost in {settings.state_dir}: MILEPOST_STATE_DIR says where it is, "
            "milepost run makes one"
        )
    embedded = EmbeddedPostgres(settings)
    starting = asyncio.create_task(asyncio.to_thread(embedded.start))
    try:
        dsn = await asyncio.shield(starting)
        await check(dsn, settings)
        yield Server(dsn, True, embedded.ensure_running)
    finally:
        # Cancelled while starting: the thread goes on, and what it started must be stopped.
        await asyncio.wait({starting})
        await asyncio.to_thread(embedded.stop)


async def check(dsn: str, settings: Settings) -> None:
    """Refuses a server that is unreachable, too old, or may forget what it acknowledged.

    Raises ConfigurationError; the text never holds the DSN, which may hold a password.
    """
    if not dsn.startswith(("postgresql://", "postgres://")):
        # asyncpg would take the rest as a path and ask whoever listens on this machine.
        raise ConfigurationError(
            "the database is unreachable: MILEPOST_DATABASE_URL must begin with postgresql://"
        )
    try:
        connection = await asyncpg.connect(dsn, timeout=settings.connect_seconds)
    except ValueError as error:
        # Its text quotes pieces of the DSN: a password with a slash is read as a host and port.
        raise ConfigurationError(
            "the database is unreachable: MILEPOST_DATABASE_URL can't be read; "
            "special characters in it must be %-encoded"
        ) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise ConfigurationError(f"the database is unreachable: {reason}") from error
    try:
        await _check_version(connection)
        await _check_durability(connection)
        await _check_encoding(connection)
    finally:
        await connection.close()


async def _check_version(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    version = connection.get_server_version()
    if version.major < OLDEST_VERSION:
        raise ConfigurationError(
            f"the database is PostgreSQL {version.major}.{version.minor}; "
            f"{OLDEST_VERSION} or newer is needed"
        )


async def _check_durability(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        if await connection.fetchval("SELECT current_setting($1)", name) == "off":
            raise ConfigurationError(
                f"the database has {name} off: it could lose what Milepost acknowledged; "
                "switch it on"
            )


async def _check_encoding(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        raise ConfigurationError(f"the database's encoding is {encoding}; UTF8 is needed")
