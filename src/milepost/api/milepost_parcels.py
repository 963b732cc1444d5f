"""``/api/milepost/v1``, reading: lists, single parcels and why they say what they say, usage."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Request, Response

from milepost.accounts.budget import Spent
from milepost.api.authentication import current_caller
from milepost.api.bodies import Refused
from milepost.api.parcel_filters import read_list
from milepost.api.problems import FieldProblem, Problem
from milepost.api.query_string import parameters
from milepost.errors import InvalidInput, NotFoundError
from milepost.parcels.listing import ForeignCursor, list_parcels
from milepost.parcels.usage import MOST_DAYS, shipping_options, usage_of
from milepost.wire.moments import v3_moment
from milepost.wire.own import Described, explanation, parcel_document

PREFIX = "/api/milepost/v1"
DAYS = 30
router = APIRouter(prefix=PREFIX)
_PARCEL_ID = re.compile(r"[1-9][0-9]{0,17}")
_DAYS = re.compile(r"[0-9]{1,3}")


@router.get("/parcels", include_in_schema=False)
async def list_of_parcels(request: Request) -> Response:
    """A page of the account's parcels."""
    given = parameters(request.scope)
    asked = read_list(given)
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id
    try:
        page = await list_parcels(core.pool, account_id, asked.page)
    except ForeignCursor:
        raise Refused(FOREIGN_CURSOR) from None
    described = await core.documents.describe(account_id, page.parcel_ids)
    now = datetime.now(UTC)
    # One that was erased since the page was read is left out.
    data = [
        parcel_document(described[parcel_id], now, events=asked.events)
        for parcel_id in page.parcel_ids
        if parcel_id in described
    ]
    answer = _json({"data": data, "next_cursor": page.next_cursor or None})
    if page.next_cursor:
        answer.headers["link"] = _next(given, page.next_cursor)
    return answer


@router.get("/parcels/{parcel_id}", include_in_schema=False)
async def one_parcel(request: Request, parcel_id: str) -> Response:
    """A parcel with everything that is known of it."""
    return _json(parcel_document(await found_parcel(request, parcel_id), datetime.now(UTC)))


@router.get("/parcels/{parcel_id}/explain", include_in_schema=False)
async def explained_parcel(request: Request, parcel_id: str) -> Response:
    """Why a parcel has its status, and what was made of each event."""
    described = await found_parcel(request, parcel_id)
    return _json(explanation(described.parcel, described.journey))


@router.get("/shipping-options", include_in_schema=False)
async def used_shipping_options(request: Request) -> Response:
    """The shipping options the account has registered parcels with."""
    core = request.app.state.parts.core
    found = await shipping_options(core.pool, current_caller(request).account_id)
    return _json(
        {
            "data": [
                {
                    "shipping_option_code": one.code,
                    "carrier_code": one.carrier_code,
                    "parcels": one.parcels,
                    "last_used_at": v3_moment(one.last_used_at),
                }
                for one in found
            ]
        }
    )


@router.get("/usage", include_in_schema=False)
async def used(request: Request) -> Response:
    """What the account used and what is left of its budgets."""
    days = _days(parameters(request.scope))
    parts, caller = request.app.state.parts, current_caller(request)
    usage = await usage_of(parts.core.pool, caller.account_id, days)
    reads = await parts.budgets.left(caller, "read")
    writes = await parts.budgets.left(caller, "write")
    return _json(
        {
            "from": usage.since,
            "to": usage.until,
            "registered": {
                "parcels": sum(one.parcels for one in usage.registered),
                "days": [
                    {"day": one.day, "carrier_code": one.carrier_code, "parcels": one.parcels}
                    for one in usage.registered
                ],
            },
            "checked": {
                "checks": sum(one.checks for one in usage.checked),
                "days": [
                    {"day": one.day, "carrier_code": one.carrier_code, "checks": one.checks}
                    for one in usage.checked
                ],
            },
            "watched": {
                "parcels": sum(usage.watched.values()),
                "carriers": [
                    {"carrier_code": code, "parcels": parcels}
                    for code, parcels in usage.watched.items()
                ],
            },
            "budgets": {
                "reads": _budget(caller.limits.reads_per_minute, 0, reads),
                "writes": _budget(
                    caller.limits.writes_per_minute, caller.limits.writes_per_second, writes
                ),
            },
        }
    )


def _budget(per_minute: int, per_second: int, left: Spent) -> dict[str, int | None]:
    """A budget and what is left of it; null where there is no limit."""
    return {
        "per_minute": per_minute or None,
        "per_second": per_second or None,
        "remaining": left.remaining if left.limit else None,
        "reset_seconds": left.reset_seconds if left.limit else None,
    }


FOREIGN_CURSOR = Problem(
    409,
    "foreign_cursor",
    "The cursor was given for another list: go on with the same filters and sort.",
    (FieldProblem(("query", "cursor"), "Not a cursor of this list", "foreign_cursor"),),
)


def _json(document: object) -> Response:
    # What one caller may see is for that caller, and is as old as the moment it was read.
    headers = {"cache-control": "private, no-store"}
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)


def _next(given: Iterable[tuple[str, str]], cursor: str) -> str:
    rest = [(name, value) for name, value in given if name != "cursor"]
    return f'<{PREFIX}/parcels?{urlencode([*rest, ("cursor", cursor)])}>; rel="next"'


async def found_parcel(request: Request, parcel_id: str) -> Described:
    """The parcel of an id. NotFoundError where there is none, or it is another account's."""
    if not _PARCEL_ID.fullmatch(parcel_id):
        raise NotFoundError
    core = request.app.state.parts.core
    key = int(parcel_id)
    found = await core.documents.describe(current_caller(request).account_id, [key])
    if key not in found:
        raise NotFoundError
    described: Described = found[key]
    return described


def _days(given: Iterable[tuple[str, str]]) -> int:
    days = DAYS
    for name, value in given:
        if name != "days":
            raise InvalidInput("Unknown parameter; there is days", ("query", name), "unknown")
        if not _DAYS.fullmatch(value) or not 1 <= int(value) <= MOST_DAYS:
            raise InvalidInput(f"Must be from 1 to {MOST_DAYS}", ("query", "days"), "range")
        days = int(value)
    return days
