"""Reading stored parcels once more, by account: first what it would change, then the change.

Nobody is asked and nothing is fetched: an event's row holds all that its reading needs.
Each parcel is kept by itself and comes out the same however often it is read, so a run that was
killed is simply started again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from milepost.db.pool import Pool, load_queries, retrying, tenant
from milepost.parcels.apply import Applied
from milepost.parcels.record import Planner, Recorder
from milepost.parcels.render import Renderer
from milepost.parcels.statements import CHANGES
from milepost.parcels.stored import StoredParcel, load
from milepost.tracking.rereading import Read
from milepost.tracking.vocabulary import Reading

QUERIES: Any = load_queries(Path(__file__).with_name("remapping.sql"))
PAGE = 100
AT_ONCE = 4
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Scope:
    """Which parcels: of these carriers (None: of all), changed since then (None: ever)."""

    carrier_codes: tuple[str, ...] | None = None
    since: datetime | None = None


@dataclass(slots=True)
class Count:
    """How many there are, in how many parcels, and a few of these."""

    events: int = 0
    parcels: int = 0
    examples: list[int] = field(default_factory=list)

    def add(self, parcel_id: int, events: int = 0) -> None:
        """One parcel more, with so many events."""
        self.events += events
        self.parcels += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(parcel_id)


Codes = dict[tuple[str, str, Reading, Reading], Count]
Statuses = dict[tuple[str, str], Count]


@dataclass(slots=True)
class Difference:
    """What other rules of reading change.

    ``codes`` is by carrier, code, reading before and after; ``statuses`` by the parcel's status
    before and after.
    """

    read: int = 0
    changed: int = 0
    events: int = 0
    reopened: int = 0
    ended: int = 0
    codes: Codes = field(default_factory=dict)
    statuses: Statuses = field(default_factory=dict)


class Remapping:
    """Reads the parcels of accounts once more, by ``read``."""

    def __init__(
        self, pool: Pool, renderer: Renderer, recorder: Recorder, read: Read, plan: Planner
    ) -> None:
        self._pool = pool
        self._renderer = renderer
        self._recorder = recorder
        self._read = read
        self._plan = plan

    async def preview(self, account_id: int, scope: Scope, difference: Difference) -> None:
        """Add to ``difference`` what is different in an account. Writes nothing."""
        async for page in self._pages(account_id, scope):
            await self._each(page, difference, self._foreseen)

    async def apply(
        self, account_id: int, scope: Scope, done: Difference, actor: str, *, tell: bool = False
    ) -> None:
        """Keep what is different in an account, parcel by parcel, and note it in the audit.

        ``done`` gets what was changed by this run. ``tell``: parcels that have another status now
        are told of. Raises DatabaseUnavailable; what is kept by then stays kept.
        """
        before = done.changed
        try:
            async for page in self._pages(account_id, scope):
                await self._each(page, done, lambda stored: self._kept(stored, tell=tell))
        finally:
            if changed := done.changed - before:
                await self._note(account_id, actor, changed)

    async def _foreseen(self, stored: StoredParcel) -> tuple[StoredParcel, Applied] | None:
        after = await self._recorder.foresee(stored, self._read, datetime.now(UTC))
        return None if after is None else (stored, after)

    async def _kept(
        self, stored: StoredParcel, *, tell: bool
    ) -> tuple[StoredParcel, Applied] | None:
        # Most parcels are read as they were: those are not loaded a second time.
        if await self._foreseen(stored) is None:
            return None
        kept = await self._recorder.reread(
            stored.account_id,
            stored.parcel_id,
            self._read,
            datetime.now(UTC),
            self._plan,
            tell=tell,
        )
        return None if kept is None else (kept.before, kept.after)

    async def _each(
        self,
        page: Sequence[StoredParcel],
        difference: Difference,
        work: Callable[[StoredParcel], Awaitable[tuple[StoredParcel, Applied] | None]],
    ) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(stored: StoredParcel) -> None:
            async with turns:
                told = await work(stored)
            difference.read += 1
            if told is not None:
                self._count(difference, *told)

        # All to their end: one that fails must not leave the others running unattended.
        for ended in await asyncio.gather(*map(one, page), return_exceptions=True):
            if ended is not None:
                raise ended

    def _count(self, difference: Difference, before: StoredParcel, after: Applied) -> None:
        was, now = map(self._renderer.journey, (before, after.parcel))
        difference.changed += 1
        difference.reopened += was.ended_at is not None and now.ended_at is None
        difference.ended += was.ended_at is None and now.ended_at is not None
        if was.status != now.status:
            statuses = difference.statuses
            statuses.setdefault((was.status, now.status), Count()).add(before.parcel_id)
        codes: dict[tuple[str, str, Reading, Reading], int] = {}
        old = {event.sequence: event.wording.reading for event in before.events}
        for event in after.parcel.events:
            reading = old.get(event.sequence, event.wording.reading)
            if reading != event.wording.reading:
                key = event.carrier_code, event.wording.raw_code, reading, event.wording.reading
                codes[key] = codes.get(key, 0) + 1
        for key, events in codes.items():
            difference.events += events
            difference.codes.setdefault(key, Count()).add(before.parcel_id, events)

    async def _pages(self, account_id: int, scope: Scope) -> AsyncIterator[list[StoredParcel]]:
        after = 0
        while ids := await self._ids(account_id, scope, after):
            found = await retrying(lambda ids=ids: load(self._pool, account_id, ids))  # type: ignore[misc]
            yield [found[parcel_id] for parcel_id in ids if parcel_id in found]
            after = ids[-1]

    async def _ids(self, account_id: int, scope: Scope, after: int) -> list[int]:
        codes = scope.carrier_codes

        async def ask() -> list[int]:
            async with tenant(self._pool, account_id) as conn:
                rows = QUERIES.parcels_to_reread(
                    conn,
                    account_id=account_id,
                    after=after,
                    carrier_codes=None if codes is None else list(codes),
                    since=scope.since,
                    most=PAGE,
                )
                return [row["parcel_id"] async for row in rows]

        return await retrying(ask)

    async def _note(self, account_id: int, actor: str, changed: int) -> None:
        async def attempt() -> None:
            async with tenant(self._pool, account_id) as conn:
                await CHANGES.note(
                    conn,
                    account_id=account_id,
                    actor=actor,
                    action="mapping",
                    parcel_id=None,
                    detail={"parcels": changed},
                )

        await retrying(attempt)
