"""Finding parcels by number: reads that arrive together share one query."""

import asyncio
from collections import defaultdict
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


class Reader:
    """Reads snapshots. One instance per process and event loop."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer
        self._waiting: dict[int, dict[str, list[asyncio.Future[asyncpg.Record | None]]]] = {}
        self._running: set[asyncio.Task[None]] = set()

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

    async def _shared(self, account_id: int, key: str) -> asyncpg.Record | None:
        """Wait for the query that all reads of this turn of the loop share."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[asyncpg.Record | None] = loop.create_future()
        waiting = self._waiting.get(account_id)
        if waiting is None:
            waiting = self._waiting[account_id] = defaultdict(list)
            loop.call_soon(self._start, account_id)
        waiting[key].append(answer)
        if len(waiting) >= MAX_SHARED:
            self._start(account_id)
        return await answer

    def _start(self, account_id: int) -> None:
        waiting = self._waiting.pop(account_id, None)
        if waiting:
            task = asyncio.create_task(self._ask(account_id, waiting))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _ask(
        self, account_id: int, waiting: dict[str, list[asyncio.Future[asyncpg.Record | None]]]
    ) -> None:
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


def _fail(
    waiting: dict[str, list[asyncio.Future[asyncpg.Record | None]]], failure: BaseException
) -> None:
    for answers in waiting.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(
                    failure if isinstance(failure, Exception) else asyncio.CancelledError()
                )
