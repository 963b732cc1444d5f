"""``POST /api/v3/parcels/tracking``: read the registration, store it, answer."""

from typing import Any

from fastapi import APIRouter, Request, Response

from milepost import failpoints
from milepost.api.authentication import current_caller
from milepost.api.bodies import JSON_KEY, Refused
from milepost.api.idempotent import Written, write_once
from milepost.api.problems import Problem
from milepost.api.v3_models import read_registration
from milepost.db.pool import Connection
from milepost.errors import InvalidInput

router = APIRouter()
PATH = "/api/v3/parcels/tracking"


@router.post(PATH, include_in_schema=False)
async def register_parcel(request: Request) -> Response:
    """Register a parcel that was shipped anywhere."""
    caller = current_caller(request)
    registration = read_registration(await json_of(request), caller.integration_id)
    if isinstance(registration, Problem):
        raise Refused(registration)
    failpoints.reach("api.after_validate")
    core = request.app.state.parts.core
    account_id = caller.account_id
    ready = await core.registrar.prepare(account_id, registration)

    async def register(connection: "Connection | None") -> Written:
        stored = await core.registrar.store(account_id, ready, conn=connection)
        return Written(stored.answer, stored.parcel_id)

    return await write_once(
        request, core.pool, register, keep_hours=core.settings.idempotency_hours
    )


async def json_of(request: Request) -> Any:
    """The value of the JSON body, as the guard has read and judged it."""
    await request.body()
    try:
        return request.scope[JSON_KEY]
    except KeyError:
        raise InvalidInput("Field required", ("body",), "missing") from None
