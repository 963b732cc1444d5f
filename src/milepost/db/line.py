"""A connection of a pool that goes from one statement to the next while there is a next one.

Getting one from the pool and giving it back costs a quarter of a short statement.
"""

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from milepost.db.pool import Pool


class Line:
    """For statements one after the other, each on its own; ``close`` gives the connection back."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: PoolConnectionProxy[asyncpg.Record] | None = None
        self._closed = False

    async def rows_of(self, statement: str, *arguments: object) -> "list[asyncpg.Record]":
        """The rows of a statement that is its own transaction."""
        held, self._held = self._held, None
        if held is None or _is_lost(held):
            held = await self._pool.acquire()
        try:
            rows: list[asyncpg.Record] = await held.fetch(statement, *arguments)
        except BaseException:
            await self._pool.release(held)
            raise
        if self._closed or self._all_in_use():
            # Nobody waits for an answer any more, or somebody may for a connection.
            await self._pool.release(held)
        else:
            self._held = held
        return rows

    def _all_in_use(self) -> bool:
        pool = self._pool
        return pool.get_size() - pool.get_idle_size() >= pool.get_max_size()

    async def close(self) -> None:
        """No statement follows."""
        self._closed = True
        held, self._held = self._held, None
        if held is not None:
            await self._pool.release(held)


def _is_lost(held: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    try:
        return held.is_closed()
    except asyncpg.InterfaceError:
        # The pool took it back when it died.
        return True
