"""Registering parcels: one statement, and never a question to a carrier inside the request."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from milepost import failpoints, metrics
from milepost.accounts.recent import Recent
from milepost.db.pool import Connection, Pool, retrying
from milepost.errors import Conflict
from milepost.parcels.render import Renderer
from milepost.parcels.search import lexemes
from milepost.parcels.stored import StoredParcel, event_columns, status_columns
from milepost.tracking.cadence import URGENCY_WAITING
from milepost.tracking.events import Event
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import Registration, TrackedParcel, number_key
from milepost.tracking.timeline import internal, merge
from milepost.wire import v3

RECENT_SECONDS = 1.0
FIRST_LOOK = timedelta(days=1)
"""By then a parcel's own deadlines are reckoned, whether anybody is asked about it or not."""
TAKEN = "Parcel or tracking number already exists"


MOST_CONTRACTS = 100_000


@dataclass(frozen=True, slots=True)
class Ready:
    """A registration that only has to be stored; ``document`` has its contract id."""

    registration: Registration
    document: Mapping[str, Any]
    credential_missing: bool


@dataclass(frozen=True, slots=True)
class Registered:
    """A parcel that was just stored."""

    parcel: TrackedParcel
    journey: Journey

    @property
    def answer(self) -> bytes:
        """The v3 create answer."""
        return v3.create_answer(self.parcel, self.journey)


@dataclass(frozen=True, slots=True)
class _Drafted:
    """A parcel before it has its id."""

    parcel: StoredParcel
    journey: Journey
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
        """``prepare`` and ``store`` in one go; the v3 create answer."""
        ready = await self.prepare(account_id, registration)
        return (await self.store(account_id, ready)).answer

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
    ) -> Registered:
        """Store a parcel with its first event and first check.

        In the tenant transaction of ``conn`` where one is given. Raises Conflict when the number
        (at that carrier) or the source_id belongs to a parcel that has not been over for long
        enough.
        """
        (stored,) = await self.register_many(account_id, [ready], conn=conn)
        if isinstance(stored, Conflict):
            raise stored
        return stored

    async def register_many(
        self, account_id: int, readies: Sequence[Ready], *, conn: "Connection | None" = None
    ) -> list[Registered | Conflict]:
        """Store parcels in one statement; what became of each, in order.

        One that can't be stored takes nothing and hinders none of the others. In the tenant
        transaction of ``conn`` where one is given.
        """
        if not readies:
            return []
        now = datetime.now(UTC)
        drafts = [self._draft(account_id, ready, now) for ready in readies]
        if conn is None:
            # In a caller's transaction the caller commits.
            failpoints.reach("api.before_commit")
        rows = await self._insert(account_id, drafts, now, conn)
        if conn is None:
            failpoints.reach("api.after_commit_before_reply")
        found = {row["place"]: row for row in rows}
        refused = sum(1 for row in rows if row["taken"])
        metrics.registrations.labels("conflict").inc(refused)
        metrics.registrations.labels("stored").inc(len(rows) - refused)
        return [
            await self._told(draft, found[place]) for place, draft in enumerate(drafts, start=1)
        ]

    def _draft(self, account_id: int, ready: Ready, now: datetime) -> _Drafted:
        announced = internal(ready.registration.announced_at, now)
        events = tuple(
            dataclasses.replace(event, sequence=1, recorded_at=now)
            for event in merge((), announced)
        )
        parcel = _parcel(account_id, ready, events, now)
        return _Drafted(parcel, self._renderer.journey(parcel), ready.credential_missing)

    async def _told(self, draft: _Drafted, row: asyncpg.Record) -> Registered | Conflict:
        if row["taken"]:
            return Conflict(TAKEN, field=FIELDS[row["taken"]], parcel_id=row["taken_by"])
        tracked = await self._renderer.tracked(
            dataclasses.replace(draft.parcel, parcel_id=row["parcel_id"]),
            draft.journey,
            credential_missing=draft.credential_missing,
        )
        return Registered(tracked, draft.journey)

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
        self,
        account_id: int,
        drafts: Sequence[_Drafted],
        now: datetime,
        conn: "Connection | None",
    ) -> list[asyncpg.Record]:
        parcels = [draft.parcel for draft in drafts]
        arguments = (
            account_id,
            [parcel.carrier_code for parcel in parcels],
            [number_key(parcel.tracking_number) for parcel in parcels],
            [parcel.source_id for parcel in parcels],
            [_row(draft) for draft in drafts],
            now,
            now - self._reregister_after,
            URGENCY_WAITING,
        )

        async def insert() -> list[asyncpg.Record]:
            return await (conn or self._pool).fetch(_REGISTER, *arguments)

        # In a caller's transaction one statement can't be repeated by itself.
        return await (insert() if conn is not None else retrying(insert))


_REGISTER = "SELECT * FROM register_parcels($1, $2, $3, $4, $5, $6, $7, $8)"
FIELDS = {
    "tracking_number": ("body", "tracking_number", "tracking_number"),
    "source_id": ("body", "source_id"),
}


def _row(draft: _Drafted) -> dict[str, Any]:
    """One element of what ``register_parcels`` reads."""
    parcel = draft.parcel
    (event,) = parcel.events
    columns = event_columns(event)
    return status_columns(draft.journey) | {
        "tracking_number": parcel.tracking_number,
        "identifier_key": identifier_key(parcel),
        "request": parcel.document,
        "announced_at": parcel.announced_at,
        "event_key": columns["event_key"],
        "event_type": columns["event_type"],
        "event_carrier": columns["carrier_code"],
        "raw_code": columns["raw_code"],
        "mapping_version": columns["mapping_version"],
        "fact": columns["fact"],
        "next_deadline_at": parcel.created_at + FIRST_LOOK,
        "words": lexemes(
            parcel.account_id,
            parcel.carrier_code,
            parcel.tracking_number,
            parcel.source_id,
            parcel.document,
        ),
    }


def identifier_key(parcel: StoredParcel) -> str:
    """The compared form of the alias a parcel was given, ``""`` for none."""
    number = parcel.document.get("tracking_number") or {}
    return number_key(number.get("tracking_identifier") or "")


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
