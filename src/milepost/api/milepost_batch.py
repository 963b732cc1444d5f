"""``POST /api/milepost/v1/parcels/batch``: many registrations in one request, row by row.

Rows are registered some hundred at a time while the body is still coming in, the next ones being
judged while the database stores those before them, so memory stays small;
what became of each is kept until the body has ended, since a client that only sends would otherwise
wait for us while we wait for it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from milepost.accounts.gatekeeper import Caller
from milepost.api.authentication import current_caller, header
from milepost.api.bodies import Refused, limits_of
from milepost.api.error_bodies import problem_document
from milepost.api.idempotent import KEY_HEADER
from milepost.api.json_input import read_json
from milepost.api.milepost_recognise import candidate_document
from milepost.api.problems import FieldProblem, Problem, invalid, problem_of, status_problem
from milepost.api.row_stream import RowSplitter
from milepost.api.streamed_body import StreamedBody
from milepost.api.unnamed_carriers import Named, with_carrier
from milepost.api.v3_models import read_registration
from milepost.errors import Conflict, InvalidInput, MilepostError, TooManyRequests
from milepost.parcels.draft import Ready
from milepost.parcels.register import Registered
from milepost.tracking.parcel import MonitoringState
from milepost.wire.own import CheckTimes, Described, parcel_document
from milepost.wiring import ApiParts

router = APIRouter(prefix="/api/milepost/v1")
MOST_ROWS = 10_000
CHUNK = 250
"""Rows registered in one statement."""
PAID_BY_ONE = 500
"""Rows that one unit of the write budget pays for."""
BREATH = 25
"""After so many rows others get their turn."""
SPARE_SECONDS = 5.0
"""What is left of the request's time for the answer."""
_TYPES = {b"ndjson", b"x-ndjson", b"jsonl", b"x-jsonlines", b"jsonlines"}


@router.post("/parcels/batch", include_in_schema=False)
async def register_batch(request: Request) -> StreamingResponse:
    """Register up to 10,000 parcels; the answer says of each row what became of it."""
    if KEY_HEADER in request.headers:
        why = "A batch takes none: send its rows again, those that were taken say so"
        field = ("header", "Idempotency-Key")
        raise Refused(invalid(FieldProblem(field, why, "idempotency_key_unsupported")))
    as_array = not _is_lines(request)
    batch = Batch(request.app.state.parts, current_caller(request))
    settings = request.app.state.parts.core.settings
    body = StreamedBody(
        request.scope, request.receive, settings, settings.max_batch_bytes, batch.ends_at
    )
    await batch.take(body, as_array=as_array)
    if batch.error is not None:
        await body.let_pass()
        if not batch.results:
            raise Refused(batch.error)
    return StreamingResponse(batch.answer(), media_type="application/json")


@router.api_route(
    "/parcels/batch", methods=["GET", "PUT", "PATCH", "DELETE"], include_in_schema=False
)
async def no_parcel_of_that_id() -> None:
    """``batch`` is no id, whatever the other calls take in its place."""
    raise Refused(status_problem(405, headers=((b"allow", b"POST"),)))


class Batch:
    """One batch under way, to be read by ``ends_at`` (``time.monotonic``).

    ``error`` is why its rest was not read, None while all is well.
    """

    def __init__(self, parts: ApiParts, caller: Caller) -> None:
        self._core = parts.core
        self._budgets = parts.budgets
        self._caller = caller
        self._limits = limits_of(parts.core.settings)
        self.ends_at = time.monotonic() + parts.core.settings.batch_seconds - SPARE_SECONDS
        self._taken = 0
        self._registered = 0
        self._storing: asyncio.Task[None] | None = None
        self.results: list[bytes] = []
        self.error: Problem | None = None

    async def take(self, body: StreamedBody, *, as_array: bool) -> None:
        """Register the rows of ``body`` as they come in, until it ends or goes wrong."""
        try:
            try:
                await self._read_all(body, as_array)
            except MilepostError as trouble:
                self.error = problem_of(trouble)
            try:
                await self._stored()
            except MilepostError as trouble:
                self.error = problem_of(trouble)
        finally:
            if self._storing is not None:
                self._storing.cancel()

    async def _read_all(self, body: StreamedBody, as_array: bool) -> None:
        rows: list[bytes] = []
        try:
            async for row in self._rows(body, as_array):
                rows.append(row)
                if len(rows) == CHUNK:
                    whole, rows = rows, []
                    await self._register(whole)
        except (InvalidInput, Refused) as wrong:
            # What came whole before it is registered all the same.
            self.error = _problem(wrong)
        await self._register(rows)

    async def answer(self) -> AsyncIterator[bytes]:
        """The answer, in pieces."""
        yield b'{"results":['
        for start in range(0, len(self.results), CHUNK):
            yield (b"," if start else b"") + b",".join(self.results[start : start + CHUNK])
        error = None if self.error is None else problem_document(self.error)
        summary = {
            "registered": self._registered,
            "refused": len(self.results) - self._registered,
            "complete": self.error is None,
            "error": error,
        }
        yield b"]," + orjson.dumps(summary)[1:]

    async def _rows(self, body: StreamedBody, as_array: bool) -> AsyncIterator[bytes]:
        splitter = RowSplitter(self._core.settings.max_body_bytes, as_array=as_array)
        count = 0
        async for piece in body.pieces():
            for row in splitter.feed(piece):
                count += 1
                if count > MOST_ROWS:
                    why = f"A batch has at most {MOST_ROWS} rows"
                    raise InvalidInput(why, ("body",), "too_many_rows")
                yield row
            if time.monotonic() > self.ends_at:
                raise Refused(status_problem(408, "The batch took too long."))
        for row in splitter.end():
            yield row

    async def _register(self, rows: Sequence[bytes]) -> None:
        """Judge rows while those before them are being stored, then have the good ones stored."""
        if not rows:
            return
        await self._pay(len(rows))
        read: list[_Row] = []
        for place, row in enumerate(rows, start=1):
            read.append(await self._read(row))
            if place % BREATH == 0:
                await asyncio.sleep(0)
        await self._stored()
        self._storing = asyncio.create_task(self._store(read))

    async def _stored(self) -> None:
        """Wait for the rows that are being stored. Raises what went wrong with them, once."""
        storing, self._storing = self._storing, None
        if storing is not None:
            try:
                await storing
            finally:
                storing.cancel()

    async def _store(self, read: Sequence["_Row"]) -> None:
        """Store the good rows in one statement, and note what became of each."""
        readies = [one.read for one in read if isinstance(one.read, Ready)]
        stored = iter(await self._core.registrar.register_many(self._caller.account_id, readies))
        now = datetime.now(UTC)
        for one in read:
            told = next(stored) if isinstance(one.read, Ready) else one.read
            self._registered += isinstance(told, Registered)
            result = _result(len(self.results), told, now) | self._recognised(one.named)
            self.results.append(orjson.dumps(result))

    def _recognised(self, named: Named | None) -> dict[str, Any]:
        """What is said of a carrier that the row did not name."""
        if named is None:
            return {}
        catalogue = self._core.catalogue
        if named.recognised is not None:
            return {"recognised": candidate_document(named.recognised, catalogue)}
        if named.problem is not None:
            told = [candidate_document(one, catalogue) for one in named.candidates]
            return {"candidates": told}
        return {}

    async def _read(self, row: bytes) -> "_Row":
        account_id, integration_id = self._caller.account_id, self._caller.integration_id
        try:
            given = read_json(row, self._limits)
        except InvalidInput as wrong:
            return _Row(problem_of(wrong))
        named = await with_carrier(given, account_id, self._core.recognitions)
        if named.problem is not None:
            return _Row(named.problem, named)
        registration = read_registration(named.document, integration_id)
        if isinstance(registration, Problem):
            return _Row(registration, named)
        return _Row(await self._core.registrar.prepare(account_id, registration), named)

    async def _pay(self, rows: int) -> None:
        """The request has paid for its first rows; over budget it waits rather than fails."""
        due = (self._taken + rows - 1) // PAID_BY_ONE - max(0, self._taken - 1) // PAID_BY_ONE
        self._taken += rows
        while due > 0:
            try:
                await self._budgets.spend(self._caller, "write")
                due -= 1
            except TooManyRequests as over:
                if time.monotonic() + over.retry_after > self.ends_at:
                    raise
                await asyncio.sleep(over.retry_after)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it was read, and what was made of a carrier that it does not name."""

    read: Ready | Problem
    named: Named | None = None


def _result(index: int, told: Registered | Conflict | Problem, now: datetime) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index}
    match told:
        case Registered():
            parcel = told.describe()
            watched = parcel.monitoring.state is MonitoringState.WATCHING
            checks = CheckTimes(None, parcel.created_at if watched else None)
            described = Described(parcel, told.journey, checks)
            result |= {"status": 200, "parcel": parcel_document(described, now, events=False)}
        case Conflict():
            holder = None if told.parcel_id is None else str(told.parcel_id)
            error = problem_document(problem_of(told))
            result |= {"status": 409, "error": error, "parcel_id": holder}
        case Problem():
            result |= {"status": told.status, "error": problem_document(told)}
    return result


def _problem(wrong: InvalidInput | Refused) -> Problem:
    return wrong.problem if isinstance(wrong, Refused) else problem_of(wrong)


def _is_lines(request: Request) -> bool:
    """Whether the body is one document a line. Raises Refused (415) where it is no JSON."""
    said = header(request.scope, b"content-type") or b"application/json"
    main, _, subtype = said.split(b";")[0].strip().lower().partition(b"/")
    if main == b"application" and subtype in _TYPES:
        return True
    if main == b"application" and (subtype == b"json" or subtype.endswith(b"+json")):
        return False
    raise Refused(
        status_problem(415, "Content-Type must be application/json or application/x-ndjson.")
    )
