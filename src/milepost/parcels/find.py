"""Finding parcels by number: reads that arrive together share one query.

Together means: in the same turn of the loop, or while a query of their account and form is under
way. So a busy account's queries grow instead of multiplying, which halved the cost of a read when
measured, and they follow each other on one connection.
"""

import asyncio
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import asyncpg

from milepost.db.line import Line
from milepost.db.patience import answered
from milepost.db.pool import Pool, load_queries, retrying, tenant
from milepost.parcels.render import Renderer, Snapshot
from milepost.parcels.stored import StoredParcel, load
from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel, number_key

QUERIES: Any = load_queries(Path(__file__).with_name("parcels.sql"))
LOOK_UP = "SELECT place, parcel_id, render_epoch, etag, answer FROM look_up($1, $2, $3)"
MAX_SHARED = 200
"""Numbers asked in one shared query."""
PATIENCE_SECONDS = 0.01
"""The longest that reads wait for the query before theirs: it may be the one that hangs."""

Form = Literal["v3", "v2"]
"""Of which API an answer is."""
_Asked: TypeAlias = tuple[int, Form]
"""An account and a form: what one query is about."""
_Row: TypeAlias = "asyncpg.Record | None"
_Waiting: TypeAlias = dict[str, list["asyncio.Future[_Row]"]]


class Answer(NamedTuple):
    """A finished answer, newest event first, and the tag of the parcel's v3 answer, quoted."""

    body: bytes
    etag: str


class Reader:
    """Reads snapshots. One instance per process and event loop."""

    def __init__(self, pool: Pool, renderer: Renderer) -> None:
        self._pool = pool
        self._renderer = renderer
        self._waiting: dict[_Asked, _Waiting] = {}
        self._running: dict[_Asked, set[asyncio.Task[None]]] = {}

    async def read(
        self, account_id: int, number: str, carrier_code: str | None, epoch: int, form: Form = "v3"
    ) -> Answer | None:
        """The newest parcel of ``number`` (at ``carrier_code``, if given), or None.

        ``epoch`` is the caller's render epoch: an older snapshot is rendered again and kept.
        """
        key = number_key(number)
        if not key:
            return None
        if carrier_code is not None:
            parcel_id = await self.parcel_id(account_id, number, carrier_code)
            return None if parcel_id is None else await self._anew(account_id, parcel_id, form)
        row = await answered(self._shared((account_id, form), key))
        if row is None:
            return None
        _, parcel_id, rendered, etag, body = row
        if rendered < epoch:
            return await self._anew(account_id, parcel_id, form)
        return Answer(body, etag)

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

    async def _anew(self, account_id: int, parcel_id: int, form: Form) -> Answer | None:
        snapshot = await self._render(account_id, parcel_id)
        if snapshot is None:
            return None
        return Answer(snapshot.v2 if form == "v2" else snapshot.v3, snapshot.etag)

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

    def _shared(self, asked: _Asked, key: str) -> "asyncio.Future[_Row]":
        """The answer of the next query of the account, which all who wait meanwhile share."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Row] = loop.create_future()
        waiting = self._waiting.get(asked)
        if waiting is None:
            waiting = self._waiting[asked] = {}
            if asked in self._running:
                loop.call_later(PATIENCE_SECONDS, self._start, asked, waiting)
            else:
                loop.call_soon(self._start, asked, waiting)
        alike = waiting.get(key)
        if alike is None:
            waiting[key] = [answer]
            if len(waiting) >= MAX_SHARED:
                self._start(asked, waiting)
        else:
            alike.append(answer)
        return answer

    def _start(self, asked: _Asked, waiting: _Waiting) -> None:
        if self._waiting.get(asked) is not waiting:
            return
        del self._waiting[asked]
        task = asyncio.create_task(self._serve(asked, waiting))
        self._running.setdefault(asked, set()).add(task)
        task.add_done_callback(lambda done: self._ended(asked, done))

    def _ended(self, asked: _Asked, task: "asyncio.Task[None]") -> None:
        running = self._running[asked]
        running.discard(task)
        if not running:
            del self._running[asked]
        # They came while the connection was given back.
        waiting = self._waiting.get(asked)
        if waiting is not None:
            self._start(asked, waiting)

    async def _serve(self, asked: _Asked, waiting: _Waiting) -> None:
        """Ask for these, then for those who came meanwhile, until nobody did."""
        line = Line(self._pool)
        next_ones: _Waiting | None = waiting
        try:
            while next_ones is not None:
                if not await self._ask(line, asked, next_ones):
                    return
                next_ones = self._waiting.pop(asked, None)
        finally:
            await line.close()

    async def _ask(self, line: Line, asked: _Asked, waiting: _Waiting) -> bool:
        """Whether there was an answer; after a failure the line is not to be used again."""
        account_id, form = asked
        try:
            rows = await retrying(lambda: line.rows_of(LOOK_UP, account_id, form, list(waiting)))
        except BaseException as failure:
            _fail(waiting, failure)
            if not isinstance(failure, Exception):
                raise
            return False
        found = {row[0]: row for row in rows}
        for place, answers in enumerate(waiting.values(), 1):
            row = found.get(place)
            for answer in answers:
                if not answer.done():
                    answer.set_result(row)
        return True


def _fail(waiting: _Waiting, failure: BaseException) -> None:
    for answers in waiting.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(
                    failure if isinstance(failure, Exception) else asyncio.CancelledError()
                )
