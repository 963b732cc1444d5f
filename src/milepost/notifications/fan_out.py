"""From the outbox to the feed and the deliveries: an account at a time, in one transaction."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import asyncpg

from milepost import failpoints
from milepost.db.pool import Connection, Pool, all_rows, retrying, tenant
from milepost.notifications.audience import Body, Happening, Plan, Recipient, Subject, plan
from milepost.notifications.filters import Filter
from milepost.notifications.forms import Form, Kind
from milepost.notifications.statements import FAN_OUT
from milepost.parcels.render import Renderer
from milepost.parcels.stored import load

AT_ONCE = 500
"""Rows of the outbox that one transaction takes: more are no faster, and hold the lanes longer."""
DELIVERIES_AT_ONCE = 5_000
"""So many deliveries, at most, come of one transaction, unless ``FEWEST`` rows have more: its lanes
are locked meanwhile, and what came back to whoever delivers there waits to be written."""
FEWEST = 25
FEW = 500
"""Rows of all outboxes together that are read as they lie. More are read by their index, a part of
an account's at a time: beside a backlog the rows that are told already are the lesser part."""
BEYOND = 2_000
"""So many ids behind the last row more of the same record is looked for. Taken apart, what a
carrier told in one answer may be no letter at all: each half looks like a repetition."""


class FanOut:
    """Tells what was recorded. Any number of processes may do so; each account by one at a time."""

    def __init__(
        self,
        pool: Pool,
        renderer: Renderer,
        body: Body,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``pool`` acts as milepost_worker, which sees whose outbox holds something."""
        self._pool = pool
        self._renderer = renderer
        self._body = body
        self._clock = clock
        self._seen: dict[int, list[int]] = {}

    async def waiting(self, after: int, most: int) -> list[int]:
        """At most ``most`` accounts beyond ``after`` that have something to tell, in key order."""
        self._seen = {}
        few = await all_rows(lambda: FAN_OUT.few(self._pool, most=FEW + 1))
        if len(few) <= FEW:
            for row in few:
                self._seen.setdefault(row["account_id"], []).append(row["outbox_id"])
            return sorted(account for account in self._seen if account > after)[:most]
        rows = await all_rows(lambda: FAN_OUT.outbox_accounts(self._pool, after=after, most=most))
        return [row["account_id"] for row in rows]

    async def tell(self, account_id: int) -> int:
        """Tell ``AT_ONCE`` happenings of an account, and what was recorded together with these; how
        many were taken. Where ``waiting`` has just seen all there is, these and no others.

        0 also where another process is at it. Raises DatabaseUnavailable; nothing is told then.
        """
        seen = self._seen.pop(account_id, [])

        async def once() -> int:
            async with tenant(self._pool, account_id) as conn:
                return await self._tell(conn, account_id, seen)

        while True:
            try:
                return await retrying(once, seconds=None)
            except asyncpg.ForeignKeyViolationError:
                # A connection was deleted since it was read; the next look does not find it.
                continue

    async def _tell(self, conn: Connection, account_id: int, seen: Sequence[int]) -> int:
        """1. become the one that tells. 2. read who hears of it, what happened, and to what.

        3. decide. 4. write it all.
        """
        if await FAN_OUT.hold_head(conn, account_id=account_id) is None:
            # A row that is there already is another's at this moment.
            await FAN_OUT.make_head(conn, account_id=account_id)
            if await FAN_OUT.hold_head(conn, account_id=account_id) is None:
                return 0
        recipients = [
            _recipient(row) async for row in FAN_OUT.recipients(conn, account_id=account_id)
        ]
        most = min(AT_ONCE, max(FEWEST, DELIVERIES_AT_ONCE // max(1, len(recipients))))
        # Who records about a parcel holds its row: what was seen of it is its earliest, none is
        # passed over.
        if 0 < len(seen) <= most:
            rows = FAN_OUT.these(conn, account_id=account_id, outbox_ids=seen)
        else:
            rows = FAN_OUT.happenings(conn, account_id=account_id, most=most, beyond=BEYOND)
        happenings = [Happening(**row) async for row in rows]
        if not happenings:
            return 0
        subjects = await self._subjects(conn, account_id, happenings)
        made = plan(happenings, subjects, recipients, self._body, self._clock())
        failpoints.reach("fanout.mid_batch")
        await _write(conn, account_id, happenings, made)
        return len(happenings)

    async def _subjects(
        self, conn: Connection, account_id: int, happenings: Sequence[Happening]
    ) -> dict[int, Subject]:
        parcel_ids = sorted({one.parcel_id for one in happenings})
        held = FAN_OUT.hold_parcels(conn, account_id=account_id, parcel_ids=parcel_ids)
        told = {row["parcel_id"]: row["status"] async for row in held}
        stored = await load(conn, account_id, parcel_ids)
        found = {}
        for parcel_id, one in stored.items():
            journey = self._renderer.journey(one)
            # Nothing that is told says whether a login is there.
            parcel = self._renderer.described(one, journey, credential_missing=False)
            found[parcel_id] = Subject(parcel, journey, told.get(parcel_id))
        return found


def _recipient(row: asyncpg.Record) -> Recipient:
    return Recipient(
        connection_id=row["connection_id"],
        kind=Kind(row["kind"]),
        form=Form(row["form"]),
        filters=tuple(Filter.of(one) for one in row["filters"] or ()),
        active=row["is_active"],
        phases=frozenset(row["settings"].get("phases") or ()),
    )


async def _write(
    conn: Connection, account_id: int, happenings: Sequence[Happening], made: Plan
) -> None:
    messages = made.messages
    feed = [happening for happening, _ in made.feed]
    await conn.execute(
        "SELECT tell($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        account_id,
        [one.outbox_id for one in happenings],
        [one.parcel_id for one in messages],
        [one.sequence for one in messages],
        [one.name for one in messages],
        [one.action for one in messages],
        [one.form for one in messages],
        [one.body for one in messages],
        [one.parcel_id for one in feed],
        [one.sequence for one in feed],
        [one.kind for one in feed],
        [one.recorded_at for one in feed],
        [place for _, place in made.feed],
        [connection_id for connection_id, _ in made.deliveries],
        [place for _, place in made.deliveries],
        list(made.statuses),
        list(made.statuses.values()),
    )
