"""Waking parcels at their deadlines, whether anybody is asked about them or not.

A carrier without a connector, missing credentials, a lane that rests: time passes there too. What a
passed deadline means is decided where everything is decided, in ``record``.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.monitoring.claim import QUERIES, Lane, lanes_of
from milepost.parcels.lane_history import learn_lane
from milepost.parcels.record import Recorder
from milepost.tracking.events import Observation

CLAIM = 50
AT_ONCE = 4
LEASE = timedelta(minutes=15)
"""After this a parcel whose worker died, or that could not be recorded, is tried again."""
LEARN_EVERY = timedelta(hours=12)
OLD_AT_ONCE = 1_000

log = structlog.get_logger(__name__)


class Deadlines:
    """Looks after the deadlines of lanes. One per worker; safe beside any number of others."""

    def __init__(self, pool: Pool, catalogue: Catalogue, recorder: Recorder) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._recorder = recorder

    async def due(self, most: int) -> list[Lane]:
        """At most ``most`` lanes with a deadline that has passed, the oldest first."""
        return await lanes_of(lambda: QUERIES.due_deadlines(self._pool, most=most))

    async def wake(self, lane: Lane) -> int:
        """Wake what is due in ``lane``, and learn from it now and then; how many woke."""
        parcels = await self._claimed(lane)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(parcel_id: int) -> None:
            async with turns:
                await self._wake(lane, parcel_id)

        await asyncio.gather(*(one(parcel_id) for parcel_id in parcels))
        await self._learn(lane)
        return len(parcels)

    async def plan_old(self) -> int:
        """Give the parcels of an older version their first deadline; how many lanes were done."""
        done = 0
        while lanes := await lanes_of(lambda: QUERIES.unplanned_lanes(self._pool, most=CLAIM)):
            for lane in lanes:
                await self._plan_old(lane)
            done += len(lanes)
        return done

    async def _wake(self, lane: Lane, parcel_id: int) -> None:
        now = datetime.now(UTC)
        nothing = Observation(lane.carrier_code, "deadline", now, ())
        try:
            await self._recorder.record(
                lane.account_id, parcel_id, nothing, now, lambda _journey, _parcel: None
            )
        except DatabaseUnavailable:
            raise
        except Exception:
            # One parcel's fault must not keep the others asleep; its lease brings it back.
            log.exception("parcel could not be woken", parcel_id=parcel_id)

    async def _claimed(self, lane: Lane) -> Sequence[int]:
        rows = await retrying(
            lambda: self._pool.fetch(
                "SELECT * FROM claim_deadlines($1, $2, $3, $4)",
                lane.account_id,
                lane.carrier_code,
                CLAIM,
                LEASE,
            )
        )
        return [row[0] for row in rows]

    async def _learn(self, lane: Lane) -> None:
        carrier = self._catalogue.get(lane.carrier_code)
        if carrier is not None and carrier.asked.manifest.simulated:
            return
        mine = await retrying(
            lambda: self._pool.fetchval(
                "SELECT take_to_learn($1, $2, $3)", lane.account_id, lane.carrier_code, LEARN_EVERY
            )
        )
        if mine:
            zone = carrier.manifest.home_zone if carrier is not None else "UTC"
            await learn_lane(self._pool, lane.account_id, lane.carrier_code, zone)

    async def _plan_old(self, lane: Lane) -> None:
        seen: int | None = 0
        while seen is not None:
            seen = await self._plan_some(lane, seen)

    async def _plan_some(self, lane: Lane, after: int) -> int | None:
        seen: int | None = await retrying(
            lambda: self._pool.fetchval(
                "SELECT plan_old_deadlines($1, $2, $3, $4)",
                lane.account_id,
                lane.carrier_code,
                after,
                OLD_AT_ONCE,
            )
        )
        return seen
