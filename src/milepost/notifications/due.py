"""Whether there is anything to tell, asked many times a second by every worker that is idle."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from milepost.db.patience import ANSWER_SECONDS
from milepost.db.pool import Pool, retrying
from milepost.notifications.statements import DUE


@dataclass(frozen=True, slots=True)
class Due:
    """Whether some outbox holds something, and whether some lane's turn has come."""

    outbox: bool
    lanes: bool


@asynccontextmanager
async def asking(pool: Pool) -> AsyncIterator[Callable[[], Awaitable[Due]]]:
    """What asks, on a connection that is held until the end of the block.

    Taking one of the pool for each question, and a task and a timer for its end, cost three times
    as much as the question. ``pool`` acts as milepost_worker. Both raise DatabaseUnavailable.
    """
    connection = await retrying(pool.acquire, seconds=None)

    async def ask() -> Due:
        (row,) = await retrying(
            lambda: connection.fetch(DUE.due.sql, timeout=ANSWER_SECONDS), seconds=None
        )
        return Due(row["outbox"], row["lanes"])

    try:
        yield ask
    finally:
        await pool.release(connection)
