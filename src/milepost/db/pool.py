"""Connections to PostgreSQL: pools that act as one role, tenant transactions, honest retries.

Nothing here gives a connection of a pool a lasting setting, so nothing has to be reset when it
goes back: the account is only ever set for one transaction.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import aiosql
import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from milepost import tracing
from milepost.db import commit_faults, patience
from milepost.db.patience import ANSWER_SECONDS
from milepost.errors import DatabaseUnavailable
from milepost.settings import Settings

Role: TypeAlias = Literal["milepost_app", "milepost_worker", "milepost_admin"]
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
T = TypeVar("T")

MAX_ATTEMPTS = 5

REPEATABLE = (
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    # A migration changed a table under a prepared statement; the repeat prepares it anew.
    asyncpg.InvalidCachedStatementError,
)
# Connection lost, no resources, shut down or cancelled by a timeout, I/O error, no login, no
# such database; read-only, lock and transaction timeouts.
OUTAGE_CLASSES = ("08", "53", "57", "58", "28", "3D")
OUTAGE_STATES = frozenset({"25006", "55P03", "25P03", "25P04"})

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

_abandoned: set[asyncio.Future[Any]] = set()


def session_settings(role: Role, settings: Settings) -> dict[str, str]:
    """The startup parameters of a connection that acts as ``role``."""
    api = role == "milepost_app"
    # Not as short as what a request waits: a commit that waits for a standby and is ended by the
    # server itself is told as done.
    statement = settings.statement_seconds_api if api else settings.statement_seconds_jobs
    return {
        "role": role,
        "application_name": role,
        "search_path": "public",
        "timezone": "UTC",
        "jit": "off",
        "default_transaction_isolation": "read committed",
        "statement_timeout": milliseconds(statement),
        "lock_timeout": milliseconds(settings.lock_seconds),
        "idle_in_transaction_session_timeout": milliseconds(settings.idle_in_transaction_seconds),
    }


def milliseconds(seconds: float) -> str:
    """PostgreSQL reads a bare number of a timeout as milliseconds; 0 would switch it off."""
    return str(max(1, round(seconds * 1000)))


async def open_pool(
    dsn: str, role: Role, settings: Settings, *, min_size: int = 1, max_size: int = 8
) -> Pool:
    """A pool whose every connection acts as ``role``, with that role's timeouts.

    It opens even while the database is away: a server process that starts during an outage
    answers 503 until the outage ends. What must hold at start is ``db.server.check``'s business.
    """

    async def create(initial: int) -> Pool:
        return await asyncpg.create_pool(
            dsn,
            min_size=initial,
            max_size=max_size,
            init=set_codecs,
            reset=keep_session,
            connection_class=commit_faults.connection_class(),
            timeout=settings.connect_seconds,
            server_settings=session_settings(role, settings),
        )

    try:
        return await create(min_size)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        if not is_outage(error):
            raise
        return await create(0)


async def set_codecs(connection: Connection) -> None:
    """``jsonb`` is Python objects on our side; binary, so nothing is escaped twice."""
    if tracing.on():
        connection.add_query_logger(tracing.statement_ended)
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


async def keep_session(connection: Connection) -> None:
    """Instead of ``RESET ALL``: that round trip halved the throughput of reads when measured."""


@asynccontextmanager
async def tenant(pool: Pool, account_id: int) -> AsyncIterator[Connection]:
    """A transaction that sees and writes the rows of one account only.

    Commits at the end of the block, rolls back on any exception. Do not open
    ``connection.transaction()`` inside: the transaction is there already.
    """
    async with pool.acquire() as connection:
        try:
            await connection.execute(f"BEGIN; SET LOCAL milepost.account_id = '{int(account_id)}'")
            yield connection
        except BaseException:
            await roll_back(connection)
            raise
        # COMMIT of a transaction that failed and was read past answers ROLLBACK, without an
        # error: saying "saved" then would be a lie.
        if await connection.execute("COMMIT") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError("the transaction had failed before COMMIT")


async def roll_back(connection: Connection) -> None:
    """Ends the transaction; a lost connection has none.

    Sent even where the driver knows of none: a BEGIN that was cancelled may still have happened.
    """
    if not connection.is_closed():
        await connection.execute("ROLLBACK")


async def retrying(
    work: Callable[[], Awaitable[T]], *, seconds: float | None = ANSWER_SECONDS
) -> T:
    """Runs ``work`` again when PostgreSQL asks for that (40001, 40P01), at most 5 times.

    Raises DatabaseUnavailable when the connection is lost, a timeout strikes, the pool is
    exhausted, the server refuses, or all of it takes longer than ``seconds`` (None: no limit), or
    than the request that asks has left for all its questions (``db.patience``).
    After a failure during COMMIT nobody knows whether it happened, so ``work`` must bear a
    repeat by the caller.
    """
    if seconds is None:
        return await _attempts(work)
    left = patience.left()
    if left is not None:
        if left <= 0:
            raise patience.late(ANSWER_SECONDS)
        seconds = min(seconds, left)
    # One task, one timer and one future: asyncio.wait costs three times as much.
    loop = asyncio.get_running_loop()
    task = loop.create_task(_attempts(work))
    ended: asyncio.Future[None] = loop.create_future()
    timer = loop.call_later(seconds, _end, ended)
    task.add_done_callback(lambda _: _end(ended))
    try:
        await ended
    except asyncio.CancelledError:
        _abandon(task)
        raise
    finally:
        timer.cancel()
    if not task.done():
        # Not awaited: with the network gone even the cancellation can take minutes.
        _abandon(task)
        raise patience.late(seconds)
    return task.result()


def _end(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


async def _attempts(work: Callable[[], Awaitable[T]]) -> T:
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return await work()
        except REPEATABLE as error:
            if attempt == MAX_ATTEMPTS:
                raise DatabaseUnavailable("too many conflicting writers") from error
        except DRIVER_ERRORS as error:
            if not is_outage(error):
                raise
            raise DatabaseUnavailable(type(error).__name__) from error
        await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 only jitter
    raise AssertionError("unreachable")


def _abandon(task: "asyncio.Future[Any]") -> None:
    _abandoned.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: "asyncio.Future[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()


def is_outage(error: BaseException) -> bool:
    """True where the database can't be asked now; False where our statement is at fault."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in OUTAGE_CLASSES or state in OUTAGE_STATES
    if isinstance(error, asyncpg.InterfaceError):
        # The same class stands for "wrong number of arguments", which must stay loud.
        return "clos" in str(error)
    if isinstance(error, asyncpg.InternalClientError):
        # A killed server's last words came while the connection lay in the pool; the driver then
        # refuses the next statement before it sends anything.
        return "cannot switch to state" in str(error)
    return isinstance(error, OSError)


async def all_rows(
    select: "Callable[[], AsyncIterator[asyncpg.Record]]",
    *,
    seconds: float | None = ANSWER_SECONDS,
) -> list[asyncpg.Record]:
    """Every row of a statement that ``aiosql`` gives one by one; repeated like any other."""

    async def ask() -> list[asyncpg.Record]:
        return [row async for row in select()]

    return await retrying(ask, seconds=seconds)


def load_queries(path: Path) -> Any:
    """The statements of a room's .sql file, as coroutine functions (``aiosql``)."""
    return aiosql.from_path(path, "asyncpg", mandatory_parameters=False)
