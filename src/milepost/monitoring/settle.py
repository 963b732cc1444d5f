"""What becomes of a parcel when its carrier has answered: news, a later check, or another try."""

import asyncio
from datetime import UTC, datetime
from typing import assert_never

import structlog

from milepost import failpoints
from milepost.carriers.connector import Broken, Found, NotFound, Outcome, Refused, Unchanged
from milepost.carriers.registry import Carrier
from milepost.errors import DatabaseUnavailable
from milepost.monitoring.claim import Claimed, Lane
from milepost.monitoring.plan import Planning, Quiet
from milepost.monitoring.question import carrier_now, hash_of
from milepost.parcels.apply import News, news_of
from milepost.parcels.record import Planner, Recorder, WatchPlan
from milepost.parcels.stored import StoredParcel
from milepost.tracking.events import Observation
from milepost.tracking.journey import Journey

log = structlog.get_logger(__name__)


class Settler:
    """Settles claimed rows, each under its fence."""

    def __init__(self, recorder: Recorder, planning: Planning, writing: asyncio.Semaphore) -> None:
        """``writing`` bounds how many are recorded at a time."""
        self._recorder = recorder
        self._planning = planning
        self._writing = writing

    async def settle(
        self, lane: Lane, carrier: Carrier, row: Claimed, outcome: Outcome
    ) -> Quiet | None:
        """Record what is new; a Quiet when only the schedule's row has to be written.

        A parcel we fail with ourselves is a miss, and costs the others nothing.
        """
        try:
            return await self._settle(lane, carrier, row, outcome)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("parcel could not be checked", parcel_id=row.parcel_id)
            plan = self._planning.after_own_fault(carrier.manifest, row, datetime.now(UTC))
            return Quiet(row, plan, checked=False)

    def unasked(self, row: Claimed) -> Quiet:
        """The carrier is at fault or may not be asked: due again when its lane is, and no miss."""
        return Quiet(row, self._planning.after_refusal(row), checked=False)

    async def _settle(
        self, lane: Lane, carrier: Carrier, row: Claimed, outcome: Outcome
    ) -> Quiet | None:
        now = carrier_now(carrier, outcome) or datetime.now(UTC)
        match outcome:
            case Found():
                failpoints.reach("poll.after_parse")
                return await self._found(lane, carrier, row, outcome, now)
            case Unchanged() | NotFound():
                return await self._quiet(lane, carrier, row, now)
            case Refused():
                return self.unasked(row)
            case Broken():
                plan = self._planning.after_fault(carrier.manifest, row, now)
                return await self._planned(lane, row, plan, now, checked=False)
            case _:
                assert_never(outcome)

    async def _found(
        self, lane: Lane, carrier: Carrier, row: Claimed, found: Found, now: datetime
    ) -> Quiet | None:
        answer_hash = hash_of(found)
        if answer_hash == row.answer_hash:
            return await self._quiet(lane, carrier, row, now)
        observation = Observation(lane.carrier_code, "poll", now, found.scans, found.complete)

        expectation = await self._planning.expectation(lane, carrier, row)

        def plan(journey: Journey, _: StoredParcel) -> WatchPlan:
            return self._planning.after_answer(
                carrier.manifest, journey, row.registered_at, now, answer_hash, expectation
            )

        await self._record(row, lane, observation, plan, news_of(found))
        return None

    async def _quiet(
        self, lane: Lane, carrier: Carrier, row: Claimed, now: datetime
    ) -> Quiet | None:
        plan = self._planning.after_answer(
            carrier.manifest,
            row.journey,
            row.registered_at,
            now,
            row.answer_hash,
            await self._planning.expectation(lane, carrier, row),
        )
        return await self._planned(lane, row, plan, now, checked=True)

    async def _planned(
        self, lane: Lane, row: Claimed, plan: WatchPlan, now: datetime, *, checked: bool
    ) -> Quiet | None:
        """Keep a plan in the schedule's row; what is news without a scan is recorded: that it is to
        stop, that a deadline has passed, that the carrier answered for the first time."""
        overdue = row.next_deadline_at is not None and row.next_deadline_at <= now
        answered_first = checked and row.last_checked_at is None
        if not (plan.stop_reason or overdue or answered_first):
            return Quiet(row, plan, checked)
        nothing = Observation(lane.carrier_code, "poll", now, (), complete=checked)
        await self._record(row, lane, nothing, lambda _journey, _parcel: plan)
        return None

    async def _record(
        self,
        row: Claimed,
        lane: Lane,
        observation: Observation,
        plan: Planner,
        news: News | None = None,
    ) -> None:
        async with self._writing:
            await self._recorder.record(
                lane.account_id,
                row.parcel_id,
                observation,
                datetime.now(UTC),
                plan,
                news=news,
                fence=row.fence,
            )
