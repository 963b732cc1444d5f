"""Registering a parcel: one statement, and never a question to a carrier inside the request."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from milepost import failpoints
from milepost.accounts.recent import Recent
from milepost.db.pool import Pool, retrying
from milepost.errors import Conflict
from milepost.parcels.render import Renderer
from milepost.parcels.stored import Executor, StoredParcel
from milepost.tracking.cadence import URGENCY_WAITING
from milepost.tracking.codec import event_to_fact
from milepost.tracking.events import Event
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import Registration, number_key
from milepost.tracking.timeline import internal, merge
from milepost.wire import v3

RECENT_SECONDS = 1.0
TAKEN = "Parcel or tracking number already exists"


class Registrar:
    """Takes registrations for any account."""

    def __init__(
        self,
        pool: Pool,
        renderer: Renderer,
        reregister_after: timedelta,
    ) -> None:
        self._pool = pool
        self._renderer = renderer
        self._reregister_after = reregister_after
        self._contracts: dict[tuple[int, str], int] = {}
        self._lacking: Recent[bool] = Recent(RECENT_SECONDS)

    async def register(
        self, account_id: int, registration: Registration, *, conn: "Executor | None" = None
    ) -> bytes:
        """Store a parcel with its first event and first check, and give the v3 create answer.

        Raises Conflict when the number (at that carrier) or the source_id belongs to a parcel
        that has not ended or been stopped long enough ago.
        """
        db = conn or self._pool
        now = datetime.now(UTC)
        document = await self._completed(db, account_id, registration)
        announced = internal(registration.announced_at, now)
        events = tuple(
            dataclasses.replace(event, sequence=1, recorded_at=now)
            for event in merge((), announced)
        )
        parcel = _parcel(account_id, registration, document, events, now)
        journey = self._renderer.journey(parcel)
        failpoints.reach("api.before_commit")
        parcel_id = await self._insert(db, parcel, journey, alone=conn is None)
        failpoints.reach("api.after_commit_before_reply")
        tracked = await self._renderer.tracked(
            dataclasses.replace(parcel, parcel_id=parcel_id),
            journey,
            credential_missing=await self._lacks_credential(account_id, parcel.carrier_code),
        )
        return v3.create_answer(tracked, journey)

    async def _lacks_credential(self, account_id: int, carrier_code: str) -> bool:
        """As it was a moment ago: this answer is not kept, so it need not cost a query each."""
        name = f"{account_id} {carrier_code}".encode()
        return await self._lacking.find(
            name, lambda: self._renderer.lacks_credential(account_id, carrier_code)
        )

    async def _completed(
        self, db: Executor, account_id: int, registration: Registration
    ) -> Mapping[str, Any]:
        """The document with a contract id: answers always carry one."""
        document = registration.document
        properties = document["ship_with"]["properties"]
        if properties.get("contract_id"):
            return document
        contract = await self._contract(db, account_id, registration.carrier_code)
        ship_with = document["ship_with"] | {"properties": properties | {"contract_id": contract}}
        return {**document, "ship_with": ship_with}

    async def _contract(self, db: Executor, account_id: int, carrier_code: str) -> int:
        known = self._contracts.get((account_id, carrier_code))
        if known is None:
            known = int(
                await retrying(
                    lambda: db.fetchval("SELECT contract_of($1, $2)", account_id, carrier_code)
                )
            )
            # Inside a caller's transaction the row may yet be rolled back: not remembered then.
            if db is self._pool:
                self._contracts[account_id, carrier_code] = known
        return known

    async def _insert(
        self, db: Executor, parcel: StoredParcel, journey: Journey, *, alone: bool
    ) -> int:
        async def insert() -> int:
            return int(await db.fetchval(_REGISTER, *self._arguments(parcel, journey)))

        try:
            # In a caller's transaction a failed statement can't be repeated by itself.
            return await (retrying(insert) if alone else insert())
        except asyncpg.UniqueViolationError as taken:
            raise Conflict(TAKEN) from taken

    def _arguments(self, parcel: StoredParcel, journey: Journey) -> tuple[Any, ...]:
        (event,) = parcel.events
        identifier = (parcel.document.get("tracking_number") or {}).get("tracking_identifier")
        return (
            parcel.account_id,
            parcel.carrier_code,
            parcel.tracking_number,
            number_key(parcel.tracking_number),
            number_key(identifier or ""),
            parcel.source_id,
            parcel.document,
            parcel.announced_at,
            parcel.created_at,
            parcel.created_at - self._reregister_after,
            _first_state(journey),
            _event_row(event),
            URGENCY_WAITING,
        )


_REGISTER = "SELECT register_parcel($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"


def _parcel(
    account_id: int,
    registration: Registration,
    document: Mapping[str, Any],
    events: tuple[Event, ...],
    now: datetime,
) -> StoredParcel:
    return StoredParcel(
        account_id=account_id,
        parcel_id=0,
        revision=1,
        carrier_code=registration.carrier_code,
        tracking_number=registration.tracking_number,
        source_id=registration.source_id,
        document=document,
        announced_at=registration.announced_at,
        created_at=now,
        updated_at=now,
        ended_at=None,
        stopped_at=None,
        stop_reason="",
        estimate=None,
        extra={},
        event_count=1,
        lane_state="open",
        epoch=0,
        events=events,
    )


def _first_state(journey: Journey) -> dict[str, Any]:
    return {
        "phase": journey.reading.phase,
        "exception": journey.reading.exception,
        "status_type": journey.reading.status_type,
        "sub_status": journey.reading.sub_status,
        "status": journey.status,
        "status_at": journey.status_at,
    }


def _event_row(event: Event) -> dict[str, Any]:
    return {
        "event_key": event.key,
        "event_type": event.event_type,
        "carrier_code": event.carrier_code,
        "raw_code": event.wording.raw_code,
        "mapping_version": event.wording.mapping_version,
        "fact": event_to_fact(event),
    }
