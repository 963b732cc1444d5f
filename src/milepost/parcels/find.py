"""Finding parcels by number: reads that arrive together share one query.

Together means: in the same turn of the loop, or while a query of their account is under way. So a
busy account's queries grow instead of multiplying, which halved the cost of a read when measured.
"""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg

from milepost.db.pool import Pool, load_queries, retrying, tenant
from milepost.parcels.render import Renderer, Snapshot
from milepost.parcels.stored import StoredParcel, load
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel, number_key

QUERIES: Any = load_queries(Path(__file__).with_name("parcels.sql"))
MAX_SHARED = 200
"""Numbers asked in one shared query."""
PATIENCE_SECONDS = 0.01
"""The longest that reads wait for the query before theirs: it may be the one that hangs."""

_Waiting = dict[str, list["asyncio.Future[asyncpg.Record | None]"]]


class Reader:
    """Reads snapshots. One instance per process and event loop."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer
        self._waiting: dict[int, _Waiting] = {}
        self._running: dict[int, set[asyncio.Task[None]]] = {}

    async def read(
        self, account_id: int, number: str, carrier_code: str | None, epoch: int
    ) -> Snapshot | None:
        """The newest parcel of ``number`` (at ``carrier_code``, if given), or None.

        ``epoch`` is the caller's render epoch: an older snapshot is rendered again and kept.
        """
        key = number_key(number)
        if not key:
            return None
        if carrier_code is not None:
            parcel_id = await self.parcel_id(account_id, number, carrier_code)
            return None if parcel_id is None else await self._render(account_id, parcel_id)
        row = await self._shared(account_id, key)
        if row is None:
            return None
        if row["render_epoch"] < epoch:
            return await self._render(account_id, row["parcel_id"])
        return Snapshot(row["parcel_id"], row["v3_answer"], row["v2_answer"], row["etag"])

    async def load(
        self, account_id: int, number: str, carrier_code: str | None = None
    ) -> tuple[TrackedParcel, Journey] | None:
        """The parcel itself, for answers that no snapshot holds (oldest first, the terminal)."""
        parcel_id = await self.parcel_id(account_id, number, carrier_code)
        stored = None if parcel_id is None else await self._stored(account_id, parcel_id)
        if stored is None:
            return None
        journey = self._renderer.journey(stored)
        return await self._renderer.tracked(stored, journey), journey

    async def parcel_id(
        self, account_id: int, number: str, carrier_code: str | None = None
    ) -> int | None:
        """The newest parcel's id by number and, if given, carrier."""

        async def look_up() -> Any:
            async with tenant(self._pool, account_id) as conn:
                wanted = {"account_id": account_id, "number_key": number_key(number)}
                if carrier_code is None:
                    return await QUERIES.newest(conn, **wanted)
                return await QUERIES.newest_by_carrier(
                    conn, carrier_code=carrier_code.strip().lower(), **wanted
                )

        row = await retrying(look_up)
        return None if row is None else int(row["parcel_id"])

    async def _stored(self, account_id: int, parcel_id: int) -> StoredParcel | None:
        found = await retrying(lambda: load(self._pool, account_id, [parcel_id]))
        return found.get(parcel_id)

    async def _render(self, account_id: int, parcel_id: int) -> Snapshot | None:
        stored = await self._stored(account_id, parcel_id)
        if stored is None:
            return None
        snapshot = await self._renderer.snapshot(stored, self._renderer.journey(stored))
        await retrying(
            lambda: self._pool.execute(
                "SELECT keep_answers($1, $2, $3, $4, $5, $6, $7)",
                account_id,
                parcel_id,
                stored.revision,
                stored.epoch,
                snapshot.etag,
                snapshot.v3,
                snapshot.v2,
            )
        )
        return snapshot

    def _shared(self, account_id: int, key: str) -> "asyncio.Future[asyncpg.Record | None]":
        """The answer of the next query of the account, which all who wait meanwhile share."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[asyncpg.Record | None] = loop.create_future()
        waiting = self._waiting.get(account_id)
        if waiting is None:
            waiting = self._waiting[account_id] = {}
            if account_id in self._running:
                loop.call_later(PATIENCE_SECONDS, self._start, account_id, waiting)
            else:
                loop.call_soon(self._start, account_id, waiting)
        alike = waiting.get(key)
        if alike is None:
            waiting[key] = [answer]
            if len(waiting) >= MAX_SHARED:
                self._start(account_id, waiting)
        else:
            alike.append(answer)
        return answer

    def _start(self, account_id: int, waiting: _Waiting) -> None:
        if self._waiting.get(account_id) is not waiting:
            return
        del self._waiting[account_id]
        task = asyncio.create_task(self._ask(account_id, waiting))
        self._running.setdefault(account_id, set()).add(task)
        task.add_done_callback(lambda done: self._ended(account_id, done))

    def _ended(self, account_id: int, task: "asyncio.Task[None]") -> None:
        running = self._running[account_id]
        running.discard(task)
        if not running:
            del self._running[account_id]
        waiting = self._waiting.get(account_id)
        if waiting is not None:
            self._start(account_id, waiting)

    async def _ask(self, account_id: int, waiting: _Waiting) -> None:
        try:
            rows = await retrying(
                lambda: self._pool.fetch(
                    "SELECT * FROM read_answers($1, $2)", account_id, list(waiting)
                )
            )
        except BaseException as failure:
            _fail(waiting, failure)
            if not isinstance(failure, Exception):
                raise
            return
        found = {row["number_key"]: row for row in rows}
        for key, answers in waiting.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(found.get(key))


def _fail(waiting: _Waiting, failure: BaseException) -> None:
    for answers in waiting.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(
                    failure if isinstance(failure, Exception) else asyncio.CancelledError()
                )
