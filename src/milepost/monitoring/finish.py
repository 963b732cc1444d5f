"""Writing the schedule's rows of checks without news, several in one statement."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.monitoring.claim import Lane
from milepost.monitoring.plan import Quiet


@dataclass(slots=True)
class _Batch:
    rows: list[Quiet] = field(default_factory=list)
    written: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Finisher:
    """Finishes the quiet checks of one lane.

    What becomes ready while a write is under way goes together into the next one: a check costs a
    share of a statement then, and none waits for others to become ready.
    """

    def __init__(self, pool: Pool, lane: Lane) -> None:
        self._pool = pool
        self._lane = lane
        self._next: _Batch | None = None
        self._turn = asyncio.Lock()

    async def finish(self, quiet: Sequence[Quiet]) -> None:
        """Return when these are written. Raises DatabaseUnavailable; they may be written or not."""
        if not quiet:
            return
        batch = self._next = self._next or _Batch()
        batch.rows.extend(quiet)
        async with self._turn:
            if not batch.written.done():
                self._next = None
                await self._write(batch)
        await batch.written

    async def _write(self, batch: _Batch) -> None:
        lane, rows = self._lane, [one.document() for one in batch.rows]
        try:
            await retrying(
                lambda: self._pool.fetchval(
                    "SELECT finish_checks($1, $2, $3)", lane.account_id, lane.carrier_code, rows
                )
            )
        except BaseException as failure:
            # All who are in it hear of it; a cancellation was meant for one of them only.
            lost = failure if isinstance(failure, Exception) else DatabaseUnavailable("cut off")
            batch.written.set_exception(lost)
            batch.written.exception()
            raise
        batch.written.set_result(None)
