"""Asking a carrier about the due parcels of one lane, and keeping what it says.

The order is the point:

1. Find the connector and the credential; without them the lane closes, with the reason.
2. Take a slot of the carrier's quota; without one the lane waits for it.
3. Claim due rows under a lease (committed before anybody is asked).
4. Ask, outside any transaction.
5. Settle each row: record news, or write the schedule's row only.
"""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

import structlog

from milepost import failpoints
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import (
    Broken,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
    Unchanged,
)
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Carrier, Catalogue
from milepost.db.pool import Pool, retrying
from milepost.errors import DatabaseUnavailable
from milepost.monitoring import slots
from milepost.monitoring.claim import Claimed, Lane, claim, pause
from milepost.monitoring.plan import Planning, Quiet
from milepost.monitoring.question import carrier_now, hash_of, item_of
from milepost.parcels.record import News, Recorder, WatchPlan
from milepost.parcels.stored import StoredParcel
from milepost.tracking.events import Observation
from milepost.tracking.journey import Journey

CLAIM = 50
"""Rows of one lane taken at a time."""
CREDENTIAL_RETRY = timedelta(hours=1)
"""A refused credential is tried again this often; setting a new one opens the lane at once."""
FAULT_REST = timedelta(seconds=30)
"""How long a lane rests whose carrier failed as a whole, so that nobody hammers a sick server."""

log = structlog.get_logger(__name__)


class Checker:
    """Checks lanes. One per worker process; safe to run for several lanes at once."""

    def __init__(
        self,
        pool: Pool,
        catalogue: Catalogue,
        credentials: CredentialStore,
        recorder: Recorder,
        fetcher: Fetcher,
        planning: Planning,
        lease: timedelta,
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._credentials = credentials
        self._recorder = recorder
        self._fetcher = fetcher
        self._planning = planning
        self._lease = lease

    async def check(self, lane: Lane) -> int:
        """Check what is due in ``lane``; the number of parcels asked about."""
        carrier = self._catalogue.get(lane.carrier_code)
        connector = carrier.connector() if carrier else None
        if carrier is None or connector is None:
            await pause(self._pool, lane, "not_supported", None)
            return 0
        stored = await self._credentials.get(lane.account_id, carrier.manifest.code)
        if stored is None and carrier.manifest.needs_credential:
            await pause(self._pool, lane, "waiting_for_credentials", None)
            return 0
        credential = (
            Credential(stored.owner, stored.fields)
            if stored
            else Credential(owner=f"account:{lane.account_id}")
        )
        return await self._ask_due(lane, carrier, credential)

    async def _ask_due(self, lane: Lane, carrier: Carrier, credential: Credential) -> int:
        """Slots before rows: claim as many as may be asked within a second, each in its time."""
        code, size = carrier.manifest.code, carrier.manifest.batch_size
        gap = timedelta(seconds=carrier.manifest.quota_for(credential).spacing_seconds)
        taken = await slots.take(self._pool, code, credential.owner, gap, -(-CLAIM // size))
        if not taken.granted:
            await pause(self._pool, lane, lane.state, taken.wait)
            return 0
        rows = await claim(self._pool, lane, min(CLAIM, taken.granted * size), self._lease)
        failpoints.reach("poll.after_lease")
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        if gap and len(batches) < taken.granted:
            unused = taken.granted - len(batches)
            await slots.give_back(self._pool, code, credential.owner, gap, taken, unused)
        # All of them to their end: one that fails must not leave the others running unattended.
        ended = await asyncio.gather(
            *(
                self._check_batch(lane, carrier, credential, batch, taken.wait + place * gap)
                for place, batch in enumerate(batches)
            ),
            return_exceptions=True,
        )
        for failure in filter(None, ended):
            raise failure
        return len(rows)

    async def rest(self, lane: Lane) -> None:
        """Let others have their turn before a lane whose check failed is tried again."""
        await pause(self._pool, lane, lane.state, FAULT_REST)

    async def _check_batch(
        self,
        lane: Lane,
        carrier: Carrier,
        credential: Credential,
        rows: Sequence[Claimed],
        wait: timedelta,
    ) -> None:
        await asyncio.sleep(wait.total_seconds())
        items = {item_of(row): row for row in rows}
        outcomes = await self._ask(lane, carrier, credential, list(items))
        failpoints.reach("poll.after_http")
        if lane.state == "credential_refused" and any(
            isinstance(outcome, Found | Unchanged | NotFound) for outcome in outcomes.values()
        ):
            lane = dataclasses.replace(lane, state="open")
            await pause(self._pool, lane, lane.state, timedelta())
        silent = Broken("the connector gave no outcome for this parcel", lane_wide=False)
        quiet = [
            await self._settle_or_miss(lane, carrier, credential, row, outcomes.get(item, silent))
            for item, row in items.items()
        ]
        await self._finish(lane, [one for one in quiet if one is not None])

    async def _ask(
        self, lane: Lane, carrier: Carrier, credential: Credential, items: Sequence[Item]
    ) -> Mapping[Item, Outcome]:
        connector = carrier.connector()
        assert connector is not None  # noqa: S101 - the lane would have been closed
        try:
            return await connector.ask(items, credential, self._fetcher)
        except Exception:
            # A connector does not raise; one that does has told nothing about any parcel.
            log.exception("connector failed", carrier_code=lane.carrier_code)
            return {}

    async def _settle_or_miss(
        self,
        lane: Lane,
        carrier: Carrier,
        credential: Credential,
        row: Claimed,
        outcome: Outcome,
    ) -> Quiet | None:
        """Settle; a parcel we fail with ourselves is a miss, and costs the others nothing."""
        try:
            return await self._settle(lane, carrier, credential, row, outcome)
        except DatabaseUnavailable:
            raise
        except Exception:
            log.exception("parcel could not be checked", parcel_id=row.parcel_id)
            plan = self._planning.after_own_fault(carrier.manifest, row, datetime.now(UTC))
            return Quiet(row, plan, checked=False)

    async def _settle(
        self,
        lane: Lane,
        carrier: Carrier,
        credential: Credential,
        row: Claimed,
        outcome: Outcome,
    ) -> Quiet | None:
        """Record what is new; a Quiet when only the schedule's row has to be written."""
        now = carrier_now(carrier, outcome) or datetime.now(UTC)
        match outcome:
            case Found():
                failpoints.reach("poll.after_parse")
                return await self._found(lane, carrier, row, outcome, now)
            case Unchanged() | NotFound():
                return await self._quiet(lane, carrier, row, now)
            case Refused():
                _tell("carrier refused", lane, outcome.why)
                return await self._refused(lane, carrier, credential, row, outcome)
            case Broken():
                _tell("carrier broken", lane, outcome.why)
                if outcome.lane_wide:
                    await pause(self._pool, lane, lane.state, FAULT_REST)
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

        def plan(journey: Journey, _: StoredParcel) -> WatchPlan:
            return self._planning.after_answer(
                carrier.manifest, journey, row.registered_at, now, answer_hash
            )

        await self._recorder.record(
            lane.account_id,
            row.parcel_id,
            observation,
            datetime.now(UTC),
            plan,
            news=News(found.estimate, {"signed_by": found.signed_by, "service": found.service}),
            fence=row.fence,
        )
        return None

    async def _quiet(
        self, lane: Lane, carrier: Carrier, row: Claimed, now: datetime
    ) -> Quiet | None:
        plan = self._planning.after_answer(
            carrier.manifest, row.journey, row.registered_at, now, row.answer_hash
        )
        return await self._planned(lane, row, plan, now, checked=True)

    async def _planned(
        self, lane: Lane, row: Claimed, plan: WatchPlan, now: datetime, *, checked: bool
    ) -> Quiet | None:
        """Keep a plan in the schedule's row; when it is to stop, that is news and is recorded."""
        if not plan.stop_reason:
            return Quiet(row, plan, checked)
        nothing = Observation(lane.carrier_code, "poll", now, ())
        await self._recorder.record(
            lane.account_id,
            row.parcel_id,
            nothing,
            datetime.now(UTC),
            lambda _journey, _parcel: plan,
            fence=row.fence,
        )
        return None

    async def _refused(
        self,
        lane: Lane,
        carrier: Carrier,
        credential: Credential,
        row: Claimed,
        refused: Refused,
    ) -> Quiet:
        """Pause the lane, never the parcel; the row is due again when the lane is."""
        state, wait = lane.state, timedelta(seconds=max(1.0, refused.retry_after))
        if refused.credential_refused:
            state, wait = "credential_refused", CREDENTIAL_RETRY
        else:
            seconds = wait.total_seconds()
            await slots.hold(self._pool, carrier.manifest.code, credential.owner, seconds)
        await pause(self._pool, lane, state, wait)
        return Quiet(row, self._planning.after_refusal(row), checked=False)

    async def _finish(self, lane: Lane, quiet: Sequence[Quiet]) -> None:
        if not quiet:
            return
        rows = [one.document() for one in quiet]
        await retrying(
            lambda: self._pool.fetchval(
                "SELECT finish_checks($1, $2, $3)", lane.account_id, lane.carrier_code, rows
            )
        )


def _tell(event: str, lane: Lane, why: str) -> None:
    log.warning(event, account_id=lane.account_id, carrier_code=lane.carrier_code, reason=why)
