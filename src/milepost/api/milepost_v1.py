"""``/api/milepost/v1``: what Sendcloud has not. So far the sandbox's clock."""

from datetime import timedelta
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.authentication import current_caller
from milepost.api.idempotent import Written, write_once
from milepost.api.v3_parcel_tracking import json_of
from milepost.db.pool import Connection, retrying, tenant
from milepost.errors import InvalidInput
from milepost.monitoring.sandbox import FURTHEST, advance

router = APIRouter(prefix="/api/milepost/v1")
MOST = int(FURTHEST.total_seconds())
ADVANCE: dict[str, Any] = {
    "type": "object",
    "properties": {"seconds": {"type": "number", "minimum": 1, "maximum": MOST}},
    "required": ["seconds"],
}
ADVANCED: dict[str, Any] = {
    "type": "object",
    "properties": {"clock_offset_seconds": {"type": "number"}},
    "required": ["clock_offset_seconds"],
    "additionalProperties": False,
}


@router.post("/sandbox/advance", include_in_schema=False)
async def advance_sandbox(request: Request) -> Response:
    """Move the clock of the account's simulated carriers forward; they are asked at once."""
    step = _step(await json_of(request))
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id

    async def alone() -> Written:
        async with tenant(core.pool, account_id) as own:
            return await move(own)

    async def move(connection: "Connection | None") -> Written:
        if connection is None:
            return await retrying(alone)
        ahead = await advance(connection, core.credentials, core.catalogue, account_id, step)
        return Written(orjson.dumps({"clock_offset_seconds": ahead.total_seconds()}))

    return await write_once(request, core.pool, move, keep_hours=core.settings.idempotency_hours)


def _step(given: Any) -> timedelta:
    seconds = given.get("seconds") if isinstance(given, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidInput("A number of seconds is required.", ("body", "seconds"), "missing")
    if not 1 <= seconds <= MOST:
        raise InvalidInput(f"Must be from 1 to {MOST}.", ("body", "seconds"), "range")
    return timedelta(seconds=seconds)
