"""For tests: commits that fail now and then, as a distributed or serializable PostgreSQL's do.

``MILEPOST_TEST_COMMIT_FAULTS=0.05`` makes one commit in twenty fail with a serialization error
(40001) after its statements ran and were rolled back: nothing is written, and whoever asked must
ask again. ``0.05:7`` gives the dice a seed. A statement outside a transaction is a commit too.
Without that variable all commits are left as they are.
"""

import os
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import asyncpg

from milepost.db.known_types import KnowingConnection

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

VARIABLE = "MILEPOST_TEST_COMMIT_FAULTS"
# These begin or end a transaction themselves.
BORDERS = ("BEGIN", "COMMIT", "ROLLBACK")


def dice(wanted: str) -> Callable[[], bool]:
    """Says true at the rate ``wanted`` names (``0.05``, or ``0.05:seed``)."""
    rate, _, seed = wanted.partition(":")
    chance = float(rate)
    source = random.Random(seed or None)  # noqa: S311 not a secret
    return lambda: source.random() < chance


_wanted = os.environ.get(VARIABLE, "")
# Whether the commit that is being asked for fails; None where no commit ever does.
strike: Callable[[], bool] | None = dice(_wanted) if _wanted else None


def connection_class() -> "type[asyncpg.Connection[asyncpg.Record]]":
    """What a pool makes its connections of."""
    return KnowingConnection if strike is None else FaultyConnection


def _failing(name: str) -> Any:
    """A method of asyncpg's connection whose own commit may fail."""
    method = getattr(asyncpg.Connection, name)

    async def ask(self: _Connection, *args: Any, **options: Any) -> Any:
        begins = name == "execute" and args[0].startswith(BORDERS)
        if begins or self.is_in_transaction() or strike is None or not strike():
            return await method(self, *args, **options)
        await asyncpg.Connection.execute(self, "BEGIN")
        try:
            await method(self, *args, **options)
        finally:
            await asyncpg.Connection.execute(self, "ROLLBACK")
        raise asyncpg.SerializationError("planted: the statement was rolled back")

    return ask


class FaultyConnection(KnowingConnection):
    """A connection whose commits fail when ``strike`` says so."""

    executemany = _failing("executemany")
    fetch = _failing("fetch")
    fetchrow = _failing("fetchrow")
    fetchval = _failing("fetchval")
    copy_records_to_table = _failing("copy_records_to_table")
    copy_to_table = _failing("copy_to_table")
    _execute_alone = _failing("execute")

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """As asyncpg's; the COMMIT of a transaction may become a ROLLBACK and an error."""
        if query == "COMMIT" and strike is not None and strike():
            await super().execute("ROLLBACK")
            raise asyncpg.SerializationError("planted: the transaction was rolled back")
        return str(await self._execute_alone(query, *args, **options))
