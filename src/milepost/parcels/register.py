"""Registering a parcel: one statement, and never a question to a carrier inside the request."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from milepost import failpoints
from milepost.accounts.recent import Recent
from milepost.db.pool import Connection, Pool, retrying
from milepost.errors import Conflict
from milepost.parcels.render import Renderer
from milepost.parcels.stored import StoredParcel, event_columns, status_columns
from milepost.tracking.cadence import URGENCY_WAITING
from milepost.tracking.events import Event
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import Registration, number_key
from milepost.tracking.timeline import internal, merge
from milepost.wire import v3

RECENT_SECONDS = 1.0
TAKEN = "Parcel or tracking number already exists"


MOST_CONTRACTS = 100_000


@dataclass(frozen=True, slots=True)
class Ready:
    """A registration that only has to be stored; ``document`` has its contract id."""

    registration: Registration
    document: Mapping[str, Any]
    credential_missing: bool


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

    async def register(self, account_id: int, registration: Registration) -> bytes:
        """``prepare`` and ``store`` in one go."""
        return await self.store(account_id, await self.prepare(account_id, registration))

    async def prepare(self, account_id: int, registration: Registration) -> Ready:
        """Look up what a registration needs beside itself.

        Apart from ``store``, because whoever holds a connection must not wait for a second one.
        """
        carrier_code = registration.carrier_code
        document = registration.document
        properties = document["ship_with"]["properties"]
        if not properties.get("contract_id"):
            contract = await self._contract(account_id, carrier_code)
            properties = {**properties, "contract_id": contract}
            document = {
                **document,
                "ship_with": {**document["ship_with"], "properties": properties},
            }
        # As it was a moment ago: the create answer is not kept, so this need not cost a query.
        lacking = await self._lacking.find(
            f"{account_id} {carrier_code}".encode(),
            lambda: self._renderer.lacks_credential(account_id, carrier_code),
        )
        return Ready(registration, document, lacking)

    async def store(
        self, account_id: int, ready: Ready, *, conn: "Connection | None" = None
    ) -> bytes:
        """Store a parcel with its first event and first check, and give the v3 create answer.

        In the tenant transaction of ``conn`` where one is given. Raises Conflict when the number
        (at that carrier) or the source_id belongs to a parcel that has not been over for long
        enough.
        """
        now = datetime.now(UTC)
        announced = internal(ready.registration.announced_at, now)
        events = tuple(
            dataclasses.replace(event, sequence=1, recorded_at=now)
            for event in merge((), announced)
        )
        parcel = _parcel(account_id, ready, events, now)
        journey = self._renderer.journey(parcel)
        if conn is None:
            # In a caller's transaction the caller commits.
            failpoints.reach("api.before_commit")
        parcel_id = await self._insert(parcel, journey, conn)
        if conn is None:
            failpoints.reach("api.after_commit_before_reply")
        tracked = await self._renderer.tracked(
            dataclasses.replace(parcel, parcel_id=parcel_id),
            journey,
            credential_missing=ready.credential_missing,
        )
        return v3.create_answer(tracked, journey)

    async def _contract(self, account_id: int, carrier_code: str) -> int:
        known = self._contracts.get((account_id, carrier_code))
        if known is None:
            if len(self._contracts) >= MOST_CONTRACTS:
                self._contracts.clear()
            known = int(
                await retrying(
                    lambda: self._pool.fetchval(
                        "SELECT contract_of($1, $2)", account_id, carrier_code
                    )
                )
            )
            self._contracts[account_id, carrier_code] = known
        return known

    async def _insert(
        self, parcel: StoredParcel, journey: Journey, conn: "Connection | None"
    ) -> int:
        arguments = _arguments(parcel, journey, self._reregister_after)

        async def insert() -> int:
            return int(await (conn or self._pool).fetchval(_REGISTER, *arguments))

        try:
            # In a caller's transaction one statement can't be repeated by itself.
            return await (insert() if conn is not None else retrying(insert))
        except asyncpg.UniqueViolationError as taken:
            raise Conflict(TAKEN) from taken


def _arguments(
    parcel: StoredParcel, journey: Journey, reregister_after: timedelta
) -> tuple[Any, ...]:
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
        parcel.created_at - reregister_after,
        status_columns(journey),
        event_columns(event),
        URGENCY_WAITING,
    )


_REGISTER = "SELECT register_parcel($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"


def _parcel(
    account_id: int, ready: Ready, events: tuple[Event, ...], now: datetime
) -> StoredParcel:
    registration = ready.registration
    return StoredParcel(
        account_id=account_id,
        parcel_id=0,
        revision=1,
        carrier_code=registration.carrier_code,
        tracking_number=registration.tracking_number,
        source_id=registration.source_id,
        document=ready.document,
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
