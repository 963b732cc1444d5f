"""Writing the schedule's rows of checks without news, several in one statement."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from milepost.db.pool import Pool, retrying
from milepost.monitoring.claim import Lane
from milepost.monitoring.plan import Quiet

LINGER_SECONDS = 0.3
"""How long an answer waits for others of its claim to be written with it."""


@dataclass(slots=True)
class _Batch:
    rows: list[Quiet] = field(default_factory=list)
    written: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Finisher:
    """Finishes the quiet checks of one claim.

    A statement costs more than the check it is about, so what becomes ready within a moment, or
    while a write is under way, goes together; the last of a claim wait for nobody. What a process
    that dies has not written is asked again.
    """

    def __init__(self, pool: Pool, lane: Lane, writing: asyncio.Semaphore) -> None:
        """``writing`` bounds the writes of all lanes together."""
        self._pool = pool
        self._lane = lane
        self._writing = writing
        self._expected = 0
        self._next: _Batch | None = None
        self._go = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def expect(self, questions: int) -> None:
        """So many are being asked; each is told of by ``heard`` when it has ended."""
        self._expected = questions

    def heard(self) -> None:
        """One of those that were expected has been answered, or never will be."""
        self._expected -= 1
        if self._expected <= 0:
            self._go.set()

    async def finish(self, quiet: Sequence[Quiet]) -> None:
        """Return when these are written. Raises DatabaseUnavailable; they may be written or not."""
        if not quiet:
            return
        batch = self._next = self._next or _Batch()
        batch.rows.extend(quiet)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        # Shielded: one caller that is cut off must not fail the others.
        await asyncio.shield(batch.written)

    async def _write_all(self) -> None:
        while self._next is not None:
            linger = asyncio.get_running_loop().call_later(LINGER_SECONDS, self._go.set)
            await self._go.wait()
            linger.cancel()
            if self._expected > 0:
                self._go.clear()
            async with self._writing:
                batch, self._next = self._next, None
                await self._write(batch)

    async def _write(self, batch: _Batch) -> None:
        lane, rows = self._lane, [one.document() for one in batch.rows]
        try:
            await retrying(
                lambda: self._pool.fetchval(
                    "SELECT finish_checks($1, $2, $3)", lane.account_id, lane.carrier_code, rows
                )
            )
        except Exception as failure:  # noqa: BLE001 all who are in it hear of it
            batch.written.set_exception(failure)
            # Where none of them is left to hear.
            batch.written.exception()
        else:
            batch.written.set_result(None)
