"""``/api/{v2,v3}/integrations[/{id}]/logs``: webhooks that did not arrive, in the published forms.

Sendcloud calls them exception logs, and puts there what a webhook's last try did not get through.
Ours are of every attempt, from the delivery log. Nobody adds to them.
"""

import re
from collections.abc import Sequence
from datetime import datetime

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.in_account import id_of, read_in_account
from milepost.api.parcel_filters import moment_of
from milepost.api.query_string import address_of
from milepost.api.v2_integrations import PATH as V2
from milepost.api.v3_data import parameter_of
from milepost.api.v3_integrations import PATH as V3
from milepost.errors import InvalidInput
from milepost.notifications.failures import failures
from milepost.wire.exception_logs import (
    FailedRequest,
    cursor_of,
    v2_exception_log,
    v3_exception_log,
)

DEFAULT_SIZE, LARGEST_SIZE = 25, 100
_NUMBER = re.compile("[0-9]{1,4}")
router = APIRouter()


@router.get(f"{V3}/logs", include_in_schema=False)
async def all_logs(request: Request) -> Response:
    """Those of all integrations."""
    return await _v3(request, None, f"{V3}/logs")


@router.get(f"{V3}/{{integration_id}}/logs", include_in_schema=False)
async def logs(request: Request, integration_id: str) -> Response:
    """Those of one integration."""
    return await _v3(request, id_of(integration_id), f"{V3}/{integration_id}/logs")


@router.get(f"{V2}/logs", include_in_schema=False)
async def all_logs_of_v2(request: Request) -> Response:
    """Those of all integrations."""
    return await _v2(request, None, f"{V2}/logs")


@router.get(f"{V2}/{{integration_id}}/logs", include_in_schema=False)
async def logs_of_v2(request: Request, integration_id: str) -> Response:
    """Those of one integration."""
    return await _v2(request, id_of(integration_id), f"{V2}/{integration_id}/logs")


async def _v3(request: Request, integration_id: int | None, path: str) -> Response:
    size = _size(request)
    shown, cursor = await _page(request, integration_id, size)
    following = address_of(request, path, [("cursor", cursor), ("page_size", str(size))])
    link = {"link": f'<{following}>; rel="next"'} if cursor else {}
    return _json({"data": [v3_exception_log(one) for one in shown]}, link)


async def _v2(request: Request, integration_id: int | None, path: str) -> Response:
    shown, cursor = await _page(request, integration_id, DEFAULT_SIZE)
    following = address_of(request, path, [("cursor", cursor)]) if cursor else None
    results = [v2_exception_log(one) for one in shown]
    return _json({"next": following, "previous": None, "results": results}, {})


async def _page(
    request: Request, integration_id: int | None, size: int
) -> tuple[Sequence[FailedRequest], str]:
    """What is shown, and where the next page begins (or ``""``)."""
    before = _before(request)
    found = await read_in_account(
        request,
        lambda conn, account_id: failures(conn, account_id, integration_id, before, size + 1),
    )
    if len(found) <= size:
        return found, ""
    # A page ends with a moment, not within one: the next begins before it.
    last = found[size - 1].started_at
    shown = [one for one in found if one.started_at >= last]
    return shown, cursor_of(last) if len(shown) < len(found) else ""


def _before(request: Request) -> datetime | None:
    given = parameter_of(request, "cursor")
    if given is None:
        return None
    try:
        # A plus sign that nobody has escaped comes as a blank.
        return moment_of("cursor", given.replace(" ", "+"))
    except InvalidInput as wrong:
        why = "Not a cursor of this list: it is a date and time."
        raise InvalidInput(why, ("query", "cursor"), "invalid") from wrong


def _size(request: Request) -> int:
    given = parameter_of(request, "page_size") or str(DEFAULT_SIZE)
    if not _NUMBER.fullmatch(given) or not 1 <= int(given) <= LARGEST_SIZE:
        why = f"A page has 1 to {LARGEST_SIZE} results."
        raise InvalidInput(why, ("query", "page_size"), "invalid")
    return int(given)


def _json(document: object, headers: dict[str, str]) -> Response:
    kept = {"cache-control": "private, no-store"} | headers
    return Response(orjson.dumps(document), media_type="application/json", headers=kept)
