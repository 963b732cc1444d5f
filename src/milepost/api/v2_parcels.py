"""``GET /api/v2/parcels``, by id and as a list: who hears of a parcel reads it again here.

The answers hold the same object as classic webhooks. Filters are the published ones; an empty one
asks nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from milepost.api.authentication import current_caller
from milepost.api.bodies import Refused
from milepost.api.milepost_parcels import found_parcel
from milepost.api.parcel_filters import moment_of
from milepost.api.problems import Problem
from milepost.api.query_string import address_of, check_storable, parameters
from milepost.errors import InvalidInput
from milepost.parcels.held import ids_of
from milepost.parcels.listing import Asked, Filters, ForeignCursor, list_parcels
from milepost.tracking.status import v2_statuses
from milepost.wire.own import Described
from milepost.wire.v2_parcel import list_answer, parcel_answer

PATH = "/api/v2/parcels"
PAGE_SIZE = 100
"""Parcels on a page, as recorded; also how many ids may be named."""
LONGEST_REFERENCE = 255
router = APIRouter(prefix=PATH)

_CODES = {str(one.v2_id): one.code for one in v2_statuses()}
_IDS = re.compile(r"[1-9][0-9]{0,17}(,[1-9][0-9]{0,17}){0,99}")
_CURSOR = re.compile(r"[A-Za-z0-9_-]{32}")
# The published example of a time has a plus, which most clients don't escape: it comes as a blank.
_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")
_CLOCK = re.compile(r"\d[Tt ]\d\d:\d\d.*\d \d\d:?\d\d$")
_INVALID_CURSOR = Problem(404, "invalid_cursor", "Invalid cursor")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list is asked for; empty parts say nothing."""

    filters: Filters
    number: str = ""
    ids: tuple[int, ...] = ()
    cursor: str = ""


@router.get("", include_in_schema=False)
async def parcels_found(request: Request) -> Response:
    """A page of the account's parcels, the last registered first."""
    wanted = _wanted(request)
    if wanted.number or wanted.ids:
        return _json(_answer(await _named(request, wanted)))
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id
    asked = Asked(wanted.filters, size=PAGE_SIZE, cursor=wanted.cursor)
    try:
        page = await list_parcels(core.pool, account_id, asked)
    except ForeignCursor:
        raise Refused(_INVALID_CURSOR) from None
    described = await core.documents.describe(account_id, page.parcel_ids)
    found = [described[one] for one in page.parcel_ids if one in described]
    following = _address(request, page.next_cursor) if page.next_cursor else None
    return _json(_answer(found, following))


@router.get("/{parcel_id}", include_in_schema=False)
async def one_parcel(request: Request, parcel_id: str) -> Response:
    """A parcel by its id."""
    found = await found_parcel(request, parcel_id)
    return _json(parcel_answer(found.parcel, found.journey))


def _wanted(request: Request) -> Wanted:
    """Raises InvalidInput that names the parameter."""
    given = {
        name: check_storable(name, value) for name, value in parameters(request.scope) if value
    }
    ids, cursor = given.get("ids", ""), given.get("cursor", "")
    if ids and not _IDS.fullmatch(ids):
        raise InvalidInput("At most 100 ids, separated by commas", ("query", "ids"), "ids_format")
    number = given.get("tracking_number", "")
    # What was found by name is never more than a page.
    if cursor and (number or ids or not _CURSOR.fullmatch(cursor)):
        raise Refused(_INVALID_CURSOR)
    return Wanted(
        filters=_filters(given),
        number=number,
        ids=tuple(int(one) for one in ids.split(",") if one),
        cursor=cursor,
    )


def _filters(given: dict[str, str]) -> Filters:
    status = given.get("parcel_status", "")
    if status and status not in _CODES:
        raise InvalidInput("Not the id of a status", ("query", "parcel_status"), "enum")
    for name in ("external_reference", "order_number"):
        if len(given.get(name, "")) > LONGEST_REFERENCE:
            raise InvalidInput("At most 255 characters", ("query", name), "length")
    updated, announced = (
        moment_of(name, _with_plus(given[name])) if name in given else None
        for name in ("updated_after", "announced_after")
    )
    return Filters(
        statuses=(_CODES[status],) if status else (),
        source_id=given.get("external_reference"),
        order_number=given.get("order_number", ""),
        updated_from=updated,
        announced_from=announced,
    )


def _with_plus(moment: str) -> str:
    return _LOST_PLUS.sub("+", moment) if _CLOCK.search(moment) else moment


async def _named(request: Request, wanted: Wanted) -> list[Described]:
    """The parcels of a number or of ids, as far as they meet the other filters."""
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id
    ids = set(wanted.ids)
    if wanted.number:
        of_number = await ids_of(core.pool, account_id, wanted.number)
        ids = ids & set(of_number) if ids else set(of_number)
    newest = sorted(ids, reverse=True)[:PAGE_SIZE]
    described = await core.documents.describe(account_id, newest)
    found = [described[one] for one in newest if one in described]
    return [one for one in found if _meets(one, wanted.filters)]


def _meets(one: Described, filters: Filters) -> bool:
    parcel = one.parcel
    order = (parcel.document.get("shipment") or {}).get("order") or {}
    return (
        (not filters.statuses or one.journey.status in filters.statuses)
        and (filters.source_id is None or parcel.source_id == filters.source_id)
        and (not filters.order_number or order.get("order_number") == filters.order_number)
        and (filters.updated_from is None or parcel.updated_at >= filters.updated_from)
        and (filters.announced_from is None or parcel.announced_at >= filters.announced_from)
    )


def _answer(found: Sequence[Described], following: str | None = None) -> bytes:
    return list_answer([(one.parcel, one.journey) for one in found], following)


def _address(request: Request, cursor: str) -> str:
    """Of the next page."""
    rest = [(name, value) for name, value in parameters(request.scope) if name != "cursor"]
    return address_of(request, PATH, [*rest, ("cursor", cursor)])


def _json(body: bytes) -> Response:
    headers = {"cache-control": "private, no-store"}
    return Response(body, media_type="application/json", headers=headers)
