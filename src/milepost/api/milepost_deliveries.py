"""``/api/milepost/v1/connections`` and ``/deliveries``: what subscribers were told, and again."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic_core import PydanticCustomError

from milepost.api.bodies import Refused
from milepost.api.idempotent import Written, write_again
from milepost.api.in_account import caller_of, id_of
from milepost.api.milepost_parcels import FOREIGN_CURSOR
from milepost.api.parcel_filters import PAGE_SIZE, checked_cursor, moment_of, size_of
from milepost.api.query_string import named
from milepost.api.v3_fields import read_moment
from milepost.api.v3_parcel_tracking import json_of
from milepost.errors import InvalidInput
from milepost.notifications import health, log, replay
from milepost.notifications.health import COUNTED, HOURS, Health
from milepost.notifications.log import Attempt, Logged, Wanted
from milepost.notifications.replay import FINISHED
from milepost.parcels.listing import ForeignCursor
from milepost.wire.moments import v3_moment

PREFIX = "/api/milepost/v1"
router = APIRouter(prefix=PREFIX)
_PARCEL_ID = re.compile(r"[1-9][0-9]{0,17}")
_REPLAY = ("since", "state", "cursor")


@router.get("/connections", include_in_schema=False)
async def list_of_connections(request: Request) -> Response:
    """Connections of every kind, and how each does."""
    given = named(request.scope, "limit", "cursor")
    account_id, _ = caller_of(request)
    size, cursor = _page(given)
    pool = request.app.state.parts.core.pool
    try:
        shown, more = await health.page_of_health(pool, account_id, size, cursor)
    except ForeignCursor:
        raise Refused(FOREIGN_CURSOR) from None
    now = datetime.now(UTC)
    return _json(
        {"data": [health_document(one, now) for one in shown], "next_cursor": more or None}
    )


@router.get("/connections/{connection_id}/health", include_in_schema=False)
async def connection_health(request: Request, connection_id: str) -> Response:
    """How one does."""
    named(request.scope)
    return _json(await _health(request, id_of(connection_id)))


@router.get("/connections/{connection_id}/deliveries", include_in_schema=False)
async def list_of_deliveries(request: Request, connection_id: str) -> Response:
    """What was told to a connection, the newest first."""
    given = named(request.scope, "state", "parcel_id", "since", "limit", "cursor")
    account_id, _ = caller_of(request)
    wanted = _wanted(given)
    pool = request.app.state.parts.core.pool
    try:
        page = await log.page(pool, account_id, id_of(connection_id), wanted)
    except ForeignCursor:
        raise Refused(FOREIGN_CURSOR) from None
    data = [delivery_document(one) for one in page.deliveries]
    return _json({"data": data, "next_cursor": page.next_cursor or None})


@router.get("/deliveries/{delivery_id}", include_in_schema=False)
async def one_delivery(request: Request, delivery_id: str) -> Response:
    """A delivery with its body and its attempts."""
    named(request.scope)
    account_id, _ = caller_of(request)
    pool = request.app.state.parts.core.pool
    logged, body, attempts = await log.one(pool, account_id, id_of(delivery_id))
    told = [attempt_document(one) for one in attempts]
    shown = {"request_body": _text(body), "tries": told}
    return _json(delivery_document(logged) | shown)


@router.post("/deliveries/{delivery_id}/replay", include_in_schema=False)
async def replay_delivery(request: Request, delivery_id: str) -> Response:
    """Send one again, or now what waits for its next attempt."""
    account_id, actor = caller_of(request)
    pool, key = request.app.state.parts.core.pool, id_of(delivery_id)

    async def work() -> Written:
        await replay.replay(pool, account_id, key, actor)
        logged, _, _ = await log.one(pool, account_id, key)
        return Written(orjson.dumps(delivery_document(logged)), logged.parcel_id or None)

    return await _write(request, work)


@router.post("/connections/{connection_id}/replay", include_in_schema=False)
async def replay_connection(request: Request, connection_id: str) -> Response:
    """Send everything again since a time, in order."""
    since, states, cursor = _replay(await json_of(request))
    account_id, actor = caller_of(request)
    pool, key = request.app.state.parts.core.pool, id_of(connection_id)

    async def work() -> Written:
        try:
            done = await replay.replay_since(pool, account_id, key, since, actor, states, cursor)
        except ForeignCursor:
            raise Refused(FOREIGN_CURSOR) from None
        document = {"replayed": done.deliveries, "next_cursor": done.next_cursor or None}
        return Written(orjson.dumps(document))

    return await _write(request, work)


@router.post("/connections/{connection_id}/pause", include_in_schema=False)
async def pause_connection(request: Request, connection_id: str) -> Response:
    """Send nothing there until it is resumed."""
    return await _steer(request, connection_id, health.pause)


@router.post("/connections/{connection_id}/resume", include_in_schema=False)
async def resume_connection(request: Request, connection_id: str) -> Response:
    """Send there again, whatever stopped it."""
    return await _steer(request, connection_id, health.resume)


def health_document(one: Health, now: datetime) -> dict[str, Any]:
    """How a connection does, as it is told."""
    rate = one.delivered / one.attempts if one.attempts else None
    age = None if one.oldest_at is None else max(0, int((now - one.oldest_at).total_seconds()))
    return {
        "connection_id": str(one.connection_id),
        "kind": one.kind,
        "payload_form": one.form,
        "name": one.name,
        "url": one.url or None,
        "created_at": v3_moment(one.created_at),
        "state": one.state,
        "reason": one.reason,
        "failures_in_a_row": one.failures,
        "failing_since": _moment(one.failing_since),
        "last_success_at": _moment(one.last_success_at),
        "last_failure_at": _moment(one.last_failure_at),
        "rests_until": _moment(one.rests_until),
        "next_attempt_at": _moment(one.next_attempt_at),
        "pending": {
            "deliveries": min(one.pending, COUNTED),
            "is_cut": one.pending > COUNTED,
            "oldest_at": _moment(one.oldest_at),
            "oldest_age_seconds": age,
        },
        "recent": {
            "hours": HOURS,
            "attempts": one.attempts,
            "delivered": one.delivered,
            "success_rate": None if rate is None else round(rate, 4),
            "is_cut": one.attempts >= COUNTED,
        },
    }


def delivery_document(one: Logged) -> dict[str, Any]:
    """A delivery as lists tell it."""
    last = None
    if one.tried_at is not None:
        last = {
            "started_at": v3_moment(one.tried_at),
            "outcome": one.outcome,
            "status": one.status,
            "error": one.error,
        }
    return {
        "delivery_id": str(one.delivery_id),
        "connection_id": str(one.connection_id),
        "parcel_id": str(one.parcel_id) if one.parcel_id else None,
        "event_id": one.event_id,
        "sequence": one.sequence,
        "action": one.action,
        "payload_form": one.form,
        "state": one.state,
        "attempts": one.attempts,
        "created_at": v3_moment(one.created_at),
        "finished_at": _moment(one.finished_at),
        "replayed_at": _moment(one.replayed_at),
        "next_attempt_at": _moment(one.next_attempt_at),
        "last_try": last,
    }


def attempt_document(one: Attempt) -> dict[str, Any]:
    """An attempt: what went out, without secrets, and the beginning of what came back."""
    return {
        "attempt": one.attempt,
        "started_at": v3_moment(one.started_at),
        "milliseconds": one.milliseconds,
        "outcome": one.outcome,
        "status": one.status,
        "error": one.error,
        "request_headers": dict(one.request_headers),
        "answer": _text(one.answer),
    }


async def _health(request: Request, connection_id: int) -> dict[str, Any]:
    account_id, _ = caller_of(request)
    found = await health.health_of(request.app.state.parts.core.pool, account_id, connection_id)
    return health_document(found, datetime.now(UTC))


async def _steer(
    request: Request, connection_id: str, steer: Callable[..., Awaitable[None]]
) -> Response:
    account_id, actor = caller_of(request)
    key = id_of(connection_id)

    async def work() -> Written:
        await steer(request.app.state.parts.core.pool, account_id, key, actor)
        return Written(orjson.dumps(await _health(request, key)))

    return await _write(request, work)


async def _write(request: Request, work: Callable[[], Awaitable[Written]]) -> Response:
    core = request.app.state.parts.core
    return await write_again(request, core.pool, work, keep_hours=core.settings.idempotency_hours)


def _page(given: dict[str, str]) -> tuple[int, str]:
    size = size_of("limit", given["limit"]) if "limit" in given else PAGE_SIZE
    return size, checked_cursor("cursor", given["cursor"]) if "cursor" in given else ""


def _wanted(given: dict[str, str]) -> Wanted:
    state, parcel_id, since = (given.get(name) for name in ("state", "parcel_id", "since"))
    if state is not None and state not in log.STATES:
        raise InvalidInput(f"One of {', '.join(log.STATES)}", ("query", "state"), "enum")
    if parcel_id is not None and not _PARCEL_ID.fullmatch(parcel_id):
        raise InvalidInput("Not a parcel's id", ("query", "parcel_id"), "id_format")
    size, cursor = _page(given)
    return Wanted(
        state=state,
        parcel_id=None if parcel_id is None else int(parcel_id),
        since=None if since is None else moment_of("since", since),
        size=size,
        cursor=cursor,
    )


def _replay(given: Any) -> tuple[datetime, tuple[str, ...], str]:
    """Since when, which of what is over, and where to go on."""
    if not isinstance(given, dict):
        raise InvalidInput("Input should be an object", ("body",), "dict_type")
    for name in given:
        if name not in _REPLAY:
            raise InvalidInput("Unknown field", ("body", name), "unknown")
    if "since" not in given:
        raise InvalidInput("Field required", ("body", "since"), "missing")
    try:
        since = read_moment(given.get("since"))
    except PydanticCustomError as refused:
        raise InvalidInput(str(refused), ("body", "since"), refused.type) from refused
    state, cursor = given.get("state"), given.get("cursor")
    cursor = "" if cursor is None else cursor
    if state is not None and state not in FINISHED:
        raise InvalidInput(f"One of {', '.join(FINISHED)}", ("body", "state"), "enum")
    if not isinstance(cursor, str):
        raise InvalidInput("Input should be a text", ("body", "cursor"), "string_type")
    return since, FINISHED if state is None else (state,), cursor


def _moment(at: datetime | None) -> str | None:
    return None if at is None else v3_moment(at)


def _text(content: bytes) -> str:
    """What is not UTF-8 in it is replaced: it is there to be read."""
    return content.decode(errors="replace")


def _json(document: object) -> Response:
    # What one caller may see is for that caller, and is as old as the moment it was read.
    headers = {"cache-control": "private, no-store"}
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)
