"""``/api/milepost/v1/carriers/{code}/push/{secret}``: the door that carriers push through.

Who knocks is known by the secret in the address, before any of the body is read. It is told that we
have it when we have it: after the commit. What it means is found out by a worker.
"""

from codecs import BOM_UTF8

import orjson
from fastapi import APIRouter, Request, Response

from milepost import metrics
from milepost.accounts.gatekeeper import Caller, Limits
from milepost.api.bodies import Refused
from milepost.api.json_input import depth_exceeds
from milepost.api.problems import Problem, status_problem
from milepost.errors import NotFoundError
from milepost.intake.addresses import Knock
from milepost.intake.backlog import AGAIN_SECONDS
from milepost.intake.inbox import keep
from milepost.wiring import ApiParts

router = APIRouter()
PATH = "/api/milepost/v1/carriers/{code}/push/{secret}"
NOT_PROVEN = "This is the right address, but what proves who is pushing is missing or wrong."
NO_JSON = "The body is not JSON."
FULL = Problem(
    503,
    "too_much_waiting",
    "Too much of what was pushed before waits to be told.",
    retry_after=AGAIN_SECONDS,
)


@router.get(PATH, include_in_schema=False)
async def is_there(request: Request, code: str, secret: str) -> Response:
    """200 for an address that lives: some carriers ask before they use it."""
    await _knock(request, code, secret)
    return Response(status_code=200)


@router.post(PATH, include_in_schema=False)
async def take(request: Request, code: str, secret: str) -> Response:
    """Keep what a carrier pushes, and say so."""
    knock = await _knock(request, code, secret)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = await request.body()
    if not knock.is_proven(headers, body):
        metrics.pushes.labels(code, "not_proven").inc()
        raise Refused(status_problem(401, NOT_PROVEN))
    # Some programs put a byte order mark in front: who proves by a signature has signed it, too.
    body = body.removeprefix(BOM_UTF8)
    parts: ApiParts = request.app.state.parts
    _check(body, parts.core.settings.max_json_depth, code)
    if not await parts.backlog.has_room(knock.account_id, len(body)):
        metrics.pushes.labels(code, "no_room").inc()
        raise Refused(FULL)
    if not await keep(parts.core.pool, knock, headers, body):
        raise NotFoundError
    metrics.pushes.labels(code, "kept").inc()
    return Response(status_code=knock.push.answer)


async def _knock(request: Request, code: str, secret: str) -> Knock:
    """Whose address it is; each knock is of the budget for pushes."""
    parts: ApiParts = request.app.state.parts
    found = await parts.addresses.find(code, secret)
    await parts.budgets.spend(_as_caller(found), "push")
    return found


def _check(body: bytes, depth: int, code: str) -> None:
    """Refused where it is no JSON at all, or so deep that nobody reads it. Anything else is kept:
    a carrier that is told that we don't understand it switches its pushes off."""
    try:
        if depth_exceeds(body, depth):
            raise Refused(status_problem(400, f"JSON is nested deeper than {depth}."))
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        metrics.pushes.labels(code, "not_json").inc()
        raise Refused(status_problem(400, NO_JSON)) from error


def _as_caller(knock: Knock) -> Caller:
    """Whose budget for pushes is spent; it is apart from what the account's own requests spend."""
    return Caller(knock.account_id, 0, "", "", Limits(0, 0, 0), 0)
