"""``/api/milepost/v1``, writing: change, erase, stop, resume or check a parcel, tell its events."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.authentication import current_caller
from milepost.api.bodies import JSON_KEY, Refused
from milepost.api.idempotent import Written, write_again
from milepost.api.own_events import read_events
from milepost.api.problems import Problem, invalid
from milepost.api.unknown_fields import unknown_fields
from milepost.api.v3_models import MOST_PROBLEMS, read_registration, with_insured_value
from milepost.api.v3_parcel_tracking import json_of
from milepost.errors import InvalidInput, NotFoundError
from milepost.parcels.draft import Ready
from milepost.parcels.erase import Receipt, erase, receipt_of
from milepost.parcels.stored import StoredParcel
from milepost.wire.moments import v3_moment
from milepost.wire.own import parcel_document

router = APIRouter(prefix="/api/milepost/v1")
HOME_ZONE = "UTC"
"""The clock of a carrier we know nothing of."""
MOST_REASON = 255
_PARCEL_ID = re.compile(r"[1-9][0-9]{0,17}")


@router.patch("/parcels/{parcel_id}", include_in_schema=False)
async def change_parcel(request: Request, parcel_id: str) -> Response:
    """Change what a parcel was registered with (JSON merge patch)."""
    patch = _patch(await json_of(request))
    core = request.app.state.parts.core
    account_id, key, actor = _about(request, parcel_id)

    async def edit(stored: StoredParcel) -> Ready:
        registration = read_registration(merged(sent_of(stored), patch))
        if isinstance(registration, Problem):
            raise Refused(registration)
        ready: Ready = await core.registrar.prepare(account_id, registration)
        return ready

    return await _done(request, key, lambda: core.changer.change(account_id, key, edit, actor))


@router.delete("/parcels/{parcel_id}", include_in_schema=False)
async def erase_parcel(request: Request, parcel_id: str) -> Response:
    """Erase a parcel and everything of it; a repeat gives the same receipt."""
    core = request.app.state.parts.core
    account_id, key, actor = _about(request, parcel_id)
    return _receipt(await erase(core.pool, account_id, key, actor))


@router.get("/erasures/{parcel_id}", include_in_schema=False)
async def erasure(request: Request, parcel_id: str) -> Response:
    """The receipt of an erased parcel."""
    core = request.app.state.parts.core
    account_id, key, _ = _about(request, parcel_id)
    return _receipt(await receipt_of(core.pool, account_id, key))


@router.post("/parcels/{parcel_id}/check", include_in_schema=False)
async def check_parcel(request: Request, parcel_id: str) -> Response:
    """Ask the carrier as soon as its quota allows."""
    changer = request.app.state.parts.core.changer
    account_id, key, actor = _about(request, parcel_id)
    return await _done(request, key, lambda: changer.check(account_id, key, actor))


@router.post("/parcels/{parcel_id}/stop", include_in_schema=False)
async def stop_parcel(request: Request, parcel_id: str) -> Response:
    """Watch a parcel no more."""
    reason = _reason(await _optional_json(request))
    changer = request.app.state.parts.core.changer
    account_id, key, actor = _about(request, parcel_id)
    return await _done(request, key, lambda: changer.stop(account_id, key, reason, actor))


@router.post("/parcels/{parcel_id}/resume", include_in_schema=False)
async def resume_parcel(request: Request, parcel_id: str) -> Response:
    """Watch a stopped parcel again."""
    changer = request.app.state.parts.core.changer
    account_id, key, actor = _about(request, parcel_id)
    return await _done(request, key, lambda: changer.resume(account_id, key, actor))


@router.post("/parcels/{parcel_id}/events", include_in_schema=False)
async def tell_events(request: Request, parcel_id: str) -> Response:
    """Tell events of an own fleet, of the house or of a claim."""
    given = await json_of(request)
    core = request.app.state.parts.core
    account_id, key, _ = _about(request, parcel_id)
    now = datetime.now(UTC)
    code = (await _described(request, account_id, key)).parcel.carrier_code
    carrier = core.catalogue.get(code)
    home_zone = carrier.manifest.home_zone if carrier else HOME_ZONE
    observations = read_events(given, code, home_zone, now)
    if isinstance(observations, Problem):
        raise Refused(observations)

    async def tell() -> None:
        for observation in observations:
            await core.recorder.record(account_id, key, observation, now, lambda *_: None)

    return await _done(request, key, tell)


def sent_of(stored: StoredParcel) -> dict[str, Any]:
    """A registration as it could be sent to get the parcel as it is."""
    return {
        **stored.document,
        "announced_at": stored.announced_at.isoformat(),
        "source_id": stored.source_id,
    }


def merged(target: Any, patch: Any) -> Any:
    """``target`` with ``patch`` (RFC 7396): null removes, objects merge, the rest replaces."""
    if not isinstance(patch, Mapping):
        return patch
    kept = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merged(kept.get(name), value)
    return kept


def _patch(given: Any) -> dict[str, Any]:
    """What is to be changed. Unlike a registration it refuses what it does not know: a field
    spelled wrong would be told as done."""
    if not isinstance(given, dict):
        raise InvalidInput("Input should be an object", ("body",), "dict_type")
    if unknown := list(islice(unknown_fields(given), MOST_PROBLEMS)):
        raise Refused(invalid(*unknown))
    # The flat form would be read past where the parcel has the other already.
    patch = {
        name: with_insured_value(value) if name == "insurance" else value
        for name, value in given.items()
    }
    carrier, number = patch.pop("carrier_code", None), patch.get("tracking_number")
    if isinstance(number, str):
        number = {"tracking_number": number}
    # A number that is null is taken away, and refused for that.
    if carrier is not None and isinstance(number, dict):
        number = {"carrier_code": carrier} | number
    elif carrier is not None and "tracking_number" not in patch:
        number = {"carrier_code": carrier}
    return patch if number is None else patch | {"tracking_number": number}


def _about(request: Request, parcel_id: str) -> tuple[int, int, str]:
    """Account, parcel and who asks. NotFoundError for what can't be an id."""
    if not _PARCEL_ID.fullmatch(parcel_id):
        raise NotFoundError
    caller = current_caller(request)
    return caller.account_id, int(parcel_id), f"key:{caller.key_id}"


async def _done(
    request: Request, parcel_id: int, work: Callable[[], Awaitable[object]]
) -> Response:
    """Do it, and answer with the parcel as it is then."""
    core = request.app.state.parts.core
    account_id = current_caller(request).account_id

    async def write() -> Written:
        await work()
        document = parcel_document(
            await _described(request, account_id, parcel_id), datetime.now(UTC)
        )
        return Written(orjson.dumps(document), parcel_id)

    return await write_again(request, core.pool, write, keep_hours=core.settings.idempotency_hours)


async def _described(request: Request, account_id: int, parcel_id: int) -> Any:
    documents = request.app.state.parts.core.documents
    found = await documents.describe(account_id, [parcel_id])
    if parcel_id not in found:
        raise NotFoundError
    return found[parcel_id]


def _receipt(receipt: Receipt | None) -> Response:
    if receipt is None:
        raise NotFoundError
    document = {
        "parcel_id": str(receipt.parcel_id),
        "erased_at": v3_moment(receipt.erased_at),
        "actor": receipt.actor,
        "erased": dict(sorted(receipt.counts.items())),
    }
    return Response(orjson.dumps(document), media_type="application/json")


async def _optional_json(request: Request) -> Any:
    await request.body()
    return request.scope.get(JSON_KEY, {})


def _reason(given: Any) -> str:
    if not isinstance(given, dict):
        raise InvalidInput("Input should be an object", ("body",), "dict_type")
    reason = given.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MOST_REASON:
        message = f"Input should be a text of at most {MOST_REASON} characters"
        raise InvalidInput(message, ("body", "reason"), "string_type")
    return reason.strip()
