"""Asking a carrier about the due parcels of one lane, and keeping what it says.

The order is the point:

1. Find the connector and the credential; without them the lane closes, with the reason.
2. Take a slot of the carrier's quota; without one the lane waits for it.
3. Claim due rows under a lease (committed before anybody is asked).
4. Ask, outside any transaction.
5. Settle each row: record news, or write the schedule's row only.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

import orjson
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
from milepost.monitoring import slots
from milepost.monitoring.claim import NEVER, Claimed, Lane, claim, pause
from milepost.monitoring.plan import Planning
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


@dataclass(frozen=True, slots=True)
class Quiet:
    """A row whose check changed nothing but the schedule."""

    row: Claimed
    plan: WatchPlan
    checked: bool = True


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
            await pause(self._pool, lane, "not_supported", NEVER)
            return 0
        stored = await self._credentials.get(lane.account_id, carrier.manifest.code)
        if stored is None and carrier.manifest.needs_credential:
            await pause(self._pool, lane, "waiting_for_credentials", NEVER)
            return 0
        credential = (
            Credential(stored.owner, stored.fields)
            if stored
            else Credential(owner=f"account:{lane.account_id}")
        )
        most = await self._allowed(lane, carrier, credential)
        rows = await claim(self._pool, lane, most, self._lease) if most else []
        failpoints.reach("poll.after_lease")
        size = carrier.manifest.batch_size
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        await asyncio.gather(
            *(self._check_batch(lane, carrier, credential, batch) for batch in batches)
        )
        return len(rows)

    async def _allowed(self, lane: Lane, carrier: Carrier, credential: Credential) -> int:
        """How many rows may be asked about now; waits for a slot that is less than a second off."""
        gap = carrier.manifest.quota_for(credential).spacing_seconds
        if not gap:
            return CLAIM
        slot = await slots.take(
            self._pool, carrier.manifest.code, credential.owner, timedelta(seconds=gap)
        )
        if not slot.granted:
            await pause(self._pool, lane, "open", slot.start_at)
            return 0
        await asyncio.sleep(max(0.0, (slot.start_at - datetime.now(UTC)).total_seconds()))
        return carrier.manifest.batch_size

    async def _check_batch(
        self, lane: Lane, carrier: Carrier, credential: Credential, rows: Sequence[Claimed]
    ) -> None:
        items = {_item(row): row for row in rows}
        connector = carrier.connector()
        assert connector is not None  # noqa: S101 - the lane would have been closed
        outcomes = await connector.ask(list(items), credential, self._fetcher)
        failpoints.reach("poll.after_http")
        if lane.state == "credential_refused" and not any(
            isinstance(outcome, Refused) for outcome in outcomes.values()
        ):
            await pause(self._pool, lane, "open", datetime.now(UTC))
        silent = Broken("the connector gave no outcome for this parcel", lane_wide=False)
        quiet = [
            settled
            for item, row in items.items()
            if (
                settled := await self._settle(
                    lane, carrier, credential, row, outcomes.get(item, silent)
                )
            )
        ]
        await self._finish(lane, quiet)

    async def _settle(
        self,
        lane: Lane,
        carrier: Carrier,
        credential: Credential,
        row: Claimed,
        outcome: Outcome,
    ) -> Quiet | None:
        """Record what is new; a Quiet when only the schedule's row has to be written."""
        now = _carrier_now(carrier, outcome) or datetime.now(UTC)
        match outcome:
            case Found():
                failpoints.reach("poll.after_parse")
                return await self._found(lane, carrier, row, outcome, now)
            case Unchanged() | NotFound():
                return await self._quiet(lane, carrier, row, now)
            case Refused():
                log.warning("carrier refused", carrier=lane.carrier_code, why=outcome.why)
                return await self._refused(lane, carrier, credential, row, outcome)
            case Broken():
                log.warning("carrier broken", carrier=lane.carrier_code, why=outcome.why)
                if outcome.lane_wide:
                    await pause(self._pool, lane, lane.state, datetime.now(UTC) + FAULT_REST)
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
        wait = max(1.0, refused.retry_after)
        state, seconds = "open", wait
        if refused.credential_refused:
            state, seconds = "credential_refused", CREDENTIAL_RETRY.total_seconds()
        else:
            await slots.hold(self._pool, carrier.manifest.code, credential.owner, wait)
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        await pause(self._pool, lane, state, until)
        return Quiet(row, self._planning.after_refusal(row, seconds), checked=False)

    async def _finish(self, lane: Lane, quiet: Sequence[Quiet]) -> None:
        if not quiet:
            return
        rows = [_finish_row(item) for item in quiet]
        await retrying(
            lambda: self._pool.fetchval(
                "SELECT finish_checks($1, $2, $3)", lane.account_id, lane.carrier_code, rows
            )
        )


def hash_of(found: Found) -> str:
    """Tells whether an answer says anything new; the carrier's clock does not count."""
    said = orjson.dumps(
        [found.scans, found.complete, found.estimate, found.signed_by, found.service],
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.blake2b(said, digest_size=16).hexdigest()


def _carrier_now(carrier: Carrier, outcome: Outcome) -> datetime | None:
    """A simulated carrier lives on its own clock; nobody else's clock is believed."""
    if not carrier.manifest.simulated:
        return None
    return getattr(outcome, "as_of", None)


def _item(row: Claimed) -> Item:
    return Item(
        key=str(row.parcel_id),
        number=row.tracking_number,
        postal_code=row.postal_code,
        origin_country=row.origin_country,
        destination_country=row.destination_country,
        shipped_at=row.announced_at,
    )


def _finish_row(item: Quiet) -> Mapping[str, Any]:
    return {
        "parcel_id": item.row.parcel_id,
        "fence": item.row.fence,
        "urgency": item.plan.urgency,
        "due_in": item.plan.due_in,
        "misses": item.plan.misses,
        "answer_hash": item.plan.answer_hash,
        "checked": item.checked,
    }
