"""Registering parcels: one statement, and never a question to a carrier inside the request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from milepost import failpoints, metrics
from milepost.accounts.recent import Recent
from milepost.db.patience import ANSWER_SECONDS, answered
from milepost.db.pool import Connection, Pool, retrying
from milepost.errors import Conflict
from milepost.parcels.draft import Drafted, Ready, draft
from milepost.parcels.render import Renderer
from milepost.parcels.together import Together
from milepost.tracking.cadence import URGENCY_WAITING
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import Registration, TrackedParcel, number_key
from milepost.wire import v3

RECENT_SECONDS = 1.0
TAKEN = "Parcel or tracking number already exists"
MOST_CONTRACTS = 100_000
UNHURRIED_SECONDS = 15.0
"""Where nobody waits for an answer: what was given up too early may be stored all the same, and the
server gives up a statement sooner."""
FRESH = timedelta(seconds=2)
"""How old a draft may be when it is stored: who follows changes looks back by seconds only."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A parcel that was just stored. Only who tells about it has it described."""

    parcel_id: int
    journey: Journey
    describe: Callable[[], TrackedParcel]

    @property
    def answer(self) -> bytes:
        """The v3 create answer."""
        return v3.create_answer(self.describe(), self.journey)


@dataclass(frozen=True, slots=True)
class Moved:
    """Parcels that come from another tool: whether anybody is told of them, and which of them are
    never asked about, by their places in the batch (from 0), as their journeys are over."""

    quiet: bool
    asleep: frozenset[int] = frozenset()


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
        self._together = Together(self.register_many)

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
        enough. Without ``conn`` it may share its statement with others of its account.
        """
        if conn is None:
            stored = await answered(self._together.store(account_id, ready))
        else:
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
        drafts = self.draft(account_id, readies)
        return await self.store_drafts(account_id, drafts, conn=conn)

    def draft(self, account_id: int, readies: Sequence[Ready]) -> list[Drafted]:
        """The first half of ``register_many``, which needs no database."""
        return draft(account_id, readies, datetime.now(UTC), self._renderer.early)

    def fresh(self, account_id: int, drafts: Sequence[Drafted]) -> Sequence[Drafted]:
        """``drafts`` as they can be stored now: those of a while ago are drafted anew."""
        if drafts and datetime.now(UTC) - drafts[0].created_at > FRESH:
            return self.draft(account_id, [one.ready for one in drafts])
        return drafts

    async def store_drafts(
        self,
        account_id: int,
        drafts: Sequence[Drafted],
        *,
        conn: "Connection | None" = None,
        moved: Moved | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> list[Registered | Conflict]:
        """The second half of ``register_many``, of drafts that are ``fresh``; whoever waits for it
        does so for ``seconds``."""
        if not drafts:
            return []
        if conn is None:
            # In a caller's transaction the caller commits.
            failpoints.reach("api.before_commit")
        rows = await self._insert(account_id, drafts, conn, moved, seconds)
        if conn is None:
            failpoints.reach("api.after_commit_before_reply")
        found = {row["place"]: row for row in rows}
        refused = sum(1 for row in rows if row["taken"])
        metrics.registrations.labels("conflict").inc(refused)
        metrics.registrations.labels("stored").inc(len(rows) - refused)
        return [self._told(one, found[place]) for place, one in enumerate(drafts, start=1)]

    def _told(self, drafted: Drafted, row: asyncpg.Record) -> Registered | Conflict:
        if row["taken"]:
            return Conflict(TAKEN, field=FIELDS[row["taken"]], parcel_id=row["taken_by"])
        return self.registered(drafted, row["parcel_id"])

    def registered(self, drafted: Drafted, parcel_id: int) -> Registered:
        """A draft that was stored under ``parcel_id``."""
        journey = drafted.beginning.journey

        def describe() -> TrackedParcel:
            return self._renderer.described(
                drafted.stored(parcel_id),
                journey,
                credential_missing=drafted.ready.credential_missing,
            )

        return Registered(parcel_id, journey, describe)

    def reusable_before(
        self, registrations: Sequence[Registration], now: datetime, *, moved: bool
    ) -> datetime:
        """When a parcel must have ended so that its names are free for these.

        Those that moved in may have ended long ago themselves: a parcel that was not over when the
        first of them was announced may be one of them, and keeps its names.
        """
        before = now - self._reregister_after
        return min([before, *(one.announced_at for one in registrations)]) if moved else before

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
        drafts: Sequence[Drafted],
        conn: "Connection | None",
        moved: Moved | None,
        seconds: float,
    ) -> list[asyncpg.Record]:
        registrations = [one.ready.registration for one in drafts]
        now = drafts[0].created_at
        arguments: tuple[object, ...] = (
            account_id,
            [one.carrier_code for one in registrations],
            [number_key(one.tracking_number) for one in registrations],
            [one.source_id for one in registrations],
            [one.row for one in drafts],
            now,
            self.reusable_before(registrations, now, moved=moved is not None),
            URGENCY_WAITING,
        )
        statement = _REGISTER
        if moved is not None:
            statement = _REGISTER_MOVED
            arguments += ([place + 1 for place in sorted(moved.asleep)], moved.quiet)

        async def insert() -> list[asyncpg.Record]:
            return await (conn or self._pool).fetch(statement, *arguments)

        # In a caller's transaction one statement can't be repeated by itself.
        return await (insert() if conn is not None else retrying(insert, seconds=seconds))


async def number_holders(
    pool: Pool,
    account_id: int,
    registrations: Sequence[Registration],
    reusable_before: datetime,
) -> dict[int, str]:
    """Which of ``registrations`` (by place, from 0) would be refused, and the name that is taken.

    Names of parcels that were over before ``reusable_before`` are free. Nothing is written.
    """
    rows = await retrying(
        lambda: pool.fetch(
            _HOLDERS,
            account_id,
            list(range(1, len(registrations) + 1)),
            [one.carrier_code for one in registrations],
            [number_key(one.tracking_number) for one in registrations],
            [one.source_id for one in registrations],
            reusable_before,
        )
    )
    held = [(row["place"] - 1, row["name"]) for row in rows if not row["is_over"]]
    # The number is told, where both names are taken: as it is where they are registered.
    return dict(sorted(held))


_HOLDERS = "SELECT * FROM holders_of($1, $2, $3, $4, $5, $6)"
_REGISTER = "SELECT * FROM register_parcels($1, $2, $3, $4, $5, $6, $7, $8)"
_REGISTER_MOVED = "SELECT * FROM register_moved($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
FIELDS = {
    "tracking_number": ("body", "tracking_number", "tracking_number"),
    "source_id": ("body", "source_id"),
}
