"""Regular work that one process does for all: the sweep, retention and the like."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

from milepost.db.pool import Pool, retrying
from milepost.errors import MilepostError

# Finished means: as late as it was begun, or later. One that failed or died is begun again when
# its lease has run out, however long `every` is.
_TAKE = """
INSERT INTO job (name, holder, lease_until, started_at)
VALUES ($1, $2, now() + $3 * interval '1 s', now())
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, lease_until = excluded.lease_until, started_at = excluded.started_at
WHERE job.lease_until <= now()
  AND (job.finished_at IS NULL OR job.finished_at < job.started_at
       OR job.started_at <= now() - $4 * interval '1 s')
RETURNING true
"""
_KEEP = """
UPDATE job SET lease_until = now() + $3 * interval '1 s' WHERE name = $1 AND holder = $2
RETURNING true
"""
_FINISH = """
UPDATE job SET lease_until = now(), finished_at = now(), outcome = $3
WHERE name = $1 AND holder = $2
"""
_FAIL = "UPDATE job SET outcome = $3 WHERE name = $1 AND holder = $2"


class JobLost(MilepostError):
    """This process was away for longer than its lease, and another has the work in hand."""

    code = "job_lost"
    retryable = True


class Turn:
    """One process's turn at a job. Put what came of it into ``outcome``: names and numbers."""

    def __init__(self, pool: Pool, name: str, holder: str, seconds: float) -> None:
        self._pool = pool
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self.outcome: Mapping[str, Any] = {}

    async def keep(self) -> None:
        """Begin the lease anew, between two steps of long work. Raises JobLost when it is gone."""
        if not await self._said(_KEEP, self._seconds):
            raise JobLost(f"the job {self._name} is in other hands")

    async def _said(self, statement: str, told: Any) -> bool:
        done = await retrying(
            lambda: self._pool.fetchval(statement, self._name, self._holder, told)
        )
        return bool(done)


@asynccontextmanager
async def only_one(
    pool: Pool, name: str, seconds: float, *, every: float = 0
) -> AsyncIterator[Turn | None]:
    """A turn at ``name`` for ``seconds``, which ``Turn.keep`` renews.

    None where another process has it in hand, or where it was begun less than ``every`` seconds
    ago and finished. After an exception (it goes on) the lease is left to run out, so that what
    fails is not begun again at once. All by the database's clock.
    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{token_hex(8)}"
    taken = await retrying(lambda: pool.fetchval(_TAKE, name, holder, seconds, every))
    if not taken:
        yield None
        return
    turn = Turn(pool, name, holder, seconds)
    try:
        yield turn
    except Exception as error:
        await turn._said(_FAIL, {"error": type(error).__name__})
        raise
    await turn._said(_FINISH, turn.outcome)
