"""Leases of claimed parcels: begun anew while a check lasts, and believed no longer than they last.

So they can be short: what a dead or frozen worker held is taken over soon.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from milepost import failpoints
from milepost.db.pool import Pool, retrying
from milepost.errors import ClaimLost, MilepostError
from milepost.monitoring.claim import Claimed, Lane
from milepost.monitoring.database_clock import running_time

RENEWALS = 3
"""Tries to renew within the time of one lease."""

log = structlog.get_logger(__name__)


class Leases:
    """What one check holds, seen with caution: a lease ends when it would by the clock of this
    process, counted from before the database was asked for it."""

    def __init__(
        self,
        pool: Pool,
        lane: Lane,
        lease: timedelta,
        clock: Callable[[], float] = running_time,
    ) -> None:
        self._pool = pool
        self._lane = lane
        self._lease = lease
        self._clock = clock
        self._until: dict[int, float] = {}
        self._fences: dict[int, int] = {}

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Callable[[list[Claimed]], list[Claimed]]]:
        """Gives what to hand claimed rows to; from then their leases are kept alive, until
        ``let_go`` or the end of the block."""
        # The leases of a claim made in this block end later than this.
        until = self._clock() + self._lease.total_seconds()

        def hold(rows: list[Claimed]) -> list[Claimed]:
            self._until = {row.parcel_id: until for row in rows}
            self._fences = {row.parcel_id: row.fence for row in rows}
            return rows

        renewing = asyncio.create_task(self._keep_renewing())
        try:
            yield hold
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    def let_go(self, rows: Sequence[Claimed]) -> None:
        """These are settled."""
        for row in rows:
            self._fences.pop(row.parcel_id, None)

    def check(self, rows: Sequence[Claimed]) -> None:
        """Raises ClaimLost when one of ``rows`` may be another worker's by now."""
        now = self._clock()
        if any(self._until.get(row.parcel_id, 0) <= now for row in rows):
            raise ClaimLost("the lease ran out")

    async def renew(self) -> None:
        """Begin the leases anew; those that are lost are remembered as lost."""
        asked_at = self._clock()
        held = dict(self._fences)
        failpoints.reach("lease.renew")
        kept = await retrying(
            lambda: self._pool.fetch(
                "SELECT renew_leases($1, $2, $3, $4) AS parcel_id",
                self._lane.account_id,
                list(held),
                list(held.values()),
                self._lease,
            )
        )
        until = asked_at + self._lease.total_seconds()
        ours = {row["parcel_id"] for row in kept}
        for parcel_id in held:
            self._until[parcel_id] = until if parcel_id in ours else 0

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._lease.total_seconds() / RENEWALS)
            if self._fences:
                try:
                    await self.renew()
                except MilepostError as trouble:
                    # The next try comes in time, or the leases end: nobody asks then.
                    log.warning("leases could not be renewed", error=str(trouble))
