"""When a parcel is asked about next: the settings and the carrier's cadence, put to the rule."""

import dataclasses
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from milepost.carriers.manifest import Manifest
from milepost.carriers.registry import Carrier
from milepost.monitoring.claim import Claimed, Lane
from milepost.parcels.lane_history import LaneHistories
from milepost.parcels.record import WatchPlan
from milepost.parcels.stored import StoredParcel
from milepost.settings import Settings
from milepost.tracking.cadence import (
    CadencePolicy,
    Ended,
    Plan,
    Stop,
    next_check,
    urgency_of,
)
from milepost.tracking.calculated import Thresholds
from milepost.tracking.expectation import Expectation, next_scan, usual
from milepost.tracking.journey import Journey
from milepost.tracking.told_cadence import after_told

LATER = timedelta(days=1)
"""When a parcel that should be given up, and can't be, is tried again."""


def thresholds_of(settings: Settings) -> Thresholds:
    """How long is too long, by the settings."""
    return Thresholds(
        handover=timedelta(days=settings.handover_delay_days),
        dropoff=timedelta(days=settings.dropoff_expiration_days),
        sorting=timedelta(days=settings.sorting_delay_days),
        off_radar=timedelta(days=settings.off_radar_days),
        pick_up=timedelta(days=settings.pup_expiration_days),
        delivery=timedelta(days=settings.delivery_delay_days),
    )


@dataclass(frozen=True, slots=True)
class Quiet:
    """A row whose check changed nothing but the schedule."""

    row: Claimed
    plan: WatchPlan
    checked: bool = True

    def document(self) -> Mapping[str, Any]:
        """What ``finish_checks`` writes."""
        return {
            "parcel_id": self.row.parcel_id,
            "fence": self.row.fence,
            "urgency": self.plan.urgency,
            "due_in": self.plan.due_in,
            "misses": self.plan.misses,
            "answer_hash": self.plan.answer_hash,
            "checked": self.checked,
        }


class Planning:
    """Plans the next check of parcels by the settings' cadence."""

    def __init__(self, settings: Settings, histories: LaneHistories | None = None) -> None:
        self._histories = histories
        self._policies: dict[str, CadencePolicy] = {}
        self._policy = CadencePolicy(
            before_first_scan=timedelta(seconds=settings.check_before_first_scan),
            in_transit=timedelta(seconds=settings.check_in_transit),
            in_delivery=timedelta(seconds=settings.check_in_delivery),
            after_end=timedelta(seconds=settings.check_after_end),
            longest=timedelta(seconds=settings.check_longest),
            stop_without_scan=timedelta(days=settings.stop_without_scan_days),
            stop_after_last_scan=timedelta(days=settings.stop_after_last_scan_days),
        )

    def policy(self, manifest: Manifest) -> CadencePolicy:
        """The settings' cadence with what the carrier's manifest puts in its place."""
        known = self._policies.get(manifest.code)
        if known is not None:
            return known
        own = {
            name: timedelta(seconds=seconds)
            for name, seconds in dataclasses.asdict(manifest.cadence).items()
            if seconds is not None
        }
        policy = dataclasses.replace(self._policy, **own)
        self._policies[manifest.code] = policy
        return policy

    async def expectation(self, lane: Lane, carrier: Carrier, row: Claimed) -> Expectation | None:
        """When the lane's past says that scans come. A simulated carrier's clock is not ours."""
        if self._histories is None or carrier.asked.manifest.simulated:
            return None
        learnt = await self._histories.of(
            lane.account_id, lane.carrier_code, row.origin_country, row.destination_country
        )
        return (learnt and next_scan(learnt)) or usual(carrier.manifest.home_zone)

    def after_answer(
        self,
        manifest: Manifest,
        journey: Journey,
        registered_at: datetime,
        now: datetime,
        answer_hash: str,
        expectation: Expectation | None = None,
    ) -> WatchPlan:
        """The plan after the carrier answered at ``now`` ("not found" is an answer)."""
        return self._plan(manifest, journey, registered_at, now, now, 0, answer_hash, expectation)

    def after_fault(self, manifest: Manifest, row: Claimed, now: datetime) -> WatchPlan:
        """The plan after a check that failed: soon at first, then ever later."""
        return self._plan(
            manifest,
            row.journey,
            row.registered_at,
            now,
            row.last_checked_at,
            row.misses + 1,
            row.answer_hash,
        )

    def after_own_fault(self, manifest: Manifest, row: Claimed, now: datetime) -> WatchPlan:
        """The plan after we failed ourselves: that is no reason to stop."""
        plan = self.after_fault(manifest, row, now)
        if not plan.stop_reason:
            return plan
        return WatchPlan(plan.urgency, LATER.total_seconds(), plan.misses, plan.answer_hash)

    def after_told(self, manifest: Manifest, journey: Journey, now: datetime) -> Plan:
        """When the carrier is asked after it has told us of a parcel by itself."""
        return after_told(journey, now, self.policy(manifest))

    def after_rereading(
        self, manifest: Manifest, journey: Journey, parcel: StoredParcel, now: datetime
    ) -> WatchPlan | None:
        """The plan of a parcel whose journey ends, or goes on, by other rules of reading.

        None where the schedule stands: neither is the case, or nobody is to be asked anyway.
        """
        was_ended = parcel.ended_at is not None
        if parcel.stopped_at is not None or was_ended == (journey.ended_at is not None):
            return None
        registered, checked = parcel.created_at, parcel.checked_at
        return self._plan(manifest, journey, registered, now, checked, 0, "")

    def after_refusal(self, row: Claimed) -> WatchPlan:
        """The plan of a parcel whose lane is paused: due as soon as the lane is."""
        return WatchPlan(urgency_of(row.journey), 0.0, row.misses, row.answer_hash)

    def _plan(
        self,
        manifest: Manifest,
        journey: Journey,
        registered_at: datetime,
        now: datetime,
        checked_at: datetime | None,
        misses: int,
        answer_hash: str,
        expectation: Expectation | None = None,
    ) -> WatchPlan:
        decided = next_check(
            journey,
            now,
            self.policy(manifest),
            registered_at=registered_at,
            checked_at=checked_at,
            misses=misses,
            jitter=random.random(),  # noqa: S311 - spreads load, guards nothing
            expectation=expectation,
        )
        urgency = urgency_of(journey)
        match decided:
            case Plan():
                wait = max(0.0, (decided.due_at - now).total_seconds())
                return WatchPlan(decided.urgency, wait, misses, answer_hash)
            case Stop():
                return WatchPlan(urgency, None, misses, answer_hash, decided.reason)
            case Ended():
                return WatchPlan(urgency, None, misses, answer_hash)
