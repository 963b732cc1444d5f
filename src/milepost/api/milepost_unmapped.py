"""``/api/milepost/v1/unmapped-codes``: codes of the account's own events that no rule reads."""

from typing import Any, get_args

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.authentication import current_caller
from milepost.api.query_string import check_storable, named
from milepost.errors import InvalidInput, NotFoundError
from milepost.parcels.unmapped_inbox import MOST, State, Unmapped, UnmappedInbox
from milepost.wire.moments import v3_moment

PATH = "/api/milepost/v1/unmapped-codes"
router = APIRouter(prefix=PATH)


@router.get("", include_in_schema=False)
async def inbox(request: Request) -> Response:
    """The codes, by carrier; counted in the account's events, with a few of these.

    ``code`` asks for one code, the empty one of events without a code included.
    """
    asked = _filters(request, "carrier_code", "code", "state")
    told = await _told(request, asked.get("carrier_code"), asked.get("code"))
    state = asked.get("state")
    rows = [one for one in told if state in (None, one.state)]
    return _json({"data": [document(one) for one in rows], "is_cut": len(told) >= MOST})


@router.get("/{carrier_code}/{code:path}", include_in_schema=False)
async def one_code(request: Request, carrier_code: str, code: str) -> Response:
    """One code of a carrier, which may hold slashes and blanks."""
    _filters(request)
    for one in await _told(request, carrier_code, check_storable("code", code)):
        return _json(document(one))
    raise NotFoundError


def document(one: Unmapped) -> dict[str, Any]:
    """A code as it is told."""
    return {
        "carrier_code": one.carrier_code,
        "code": one.raw_code,
        "state": one.state,
        "events": one.events,
        "first_seen_at": v3_moment(one.first_seen_at),
        "last_seen_at": v3_moment(one.last_seen_at),
        "examples": [
            {
                "parcel_id": str(example.parcel_id),
                "text": example.raw_text,
                "recorded_at": v3_moment(example.recorded_at),
            }
            for example in one.examples
        ],
    }


async def _told(
    request: Request, carrier_code: str | None, code: str | None = None
) -> list[Unmapped]:
    core = request.app.state.parts.core
    codes = None
    if carrier_code is not None:
        carrier = core.catalogue.get(carrier_code)
        if carrier is None:
            return []
        codes = core.catalogue.codes_asked_as(carrier.asked.manifest.code)
    box = UnmappedInbox(core.pool, core.mappings)
    return await box.of_account(current_caller(request).account_id, codes, code)


def _filters(request: Request, *known: str) -> dict[str, str]:
    given = named(request.scope, *known)
    if given.get("state", "open") not in get_args(State):
        why = f"One of {', '.join(get_args(State))}"
        raise InvalidInput(why, ("query", "state"), "enum")
    return given


def _json(told: object) -> Response:
    headers = {"cache-control": "private, no-store"}
    return Response(orjson.dumps(told), media_type="application/json", headers=headers)
