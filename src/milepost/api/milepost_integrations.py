"""``/api/milepost/v1/integrations``: making shops, trying their webhooks, and keys to sign with."""

from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.bodies import JSON_KEY, Refused
from milepost.api.idempotent import KEY_HEADER, Written, write_again
from milepost.api.in_account import caller_of, id_of, may_take, write_in_account
from milepost.api.integration_models import KeyGiven, NewShop, OwnChange, read_own
from milepost.api.integrations import changed, deleted, found, listed
from milepost.api.problems import FieldProblem, invalid
from milepost.api.query_string import parameters
from milepost.api.v3_event_subscriptions import trial_document
from milepost.api.v3_parcel_tracking import json_of
from milepost.db.pool import Connection
from milepost.errors import InvalidInput
from milepost.notifications.forms import Kind
from milepost.notifications.integrations import KeptIntegration
from milepost.notifications.signing_keys import ShownKey, set_key
from milepost.wire.integrations import v3_integration
from milepost.wire.moments import v3_moment

PREFIX = "/api/milepost/v1"
BESIDE_TEST_SECONDS = 5.0
"""What a test takes besides the exchange with the receiver."""
_TRUTHS = {"true": True, "false": False}
_PRIVATE = {"cache-control": "private, no-store"}
router = APIRouter(prefix=PREFIX)


@router.post("/integrations", include_in_schema=False)
async def create_integration(request: Request) -> Response:
    """Make one. Its key to sign with is in this answer and in no other."""
    _takes_no_idempotency_key(request)
    given = read_own(NewShop, await json_of(request))
    account_id, actor = caller_of(request)
    kept_by = request.app.state.parts.integrations

    async def create(conn: Connection) -> Written:
        try:
            kept, shown = await kept_by.create(
                conn, account_id, given.wanted(), given.signing_key, actor
            )
        except InvalidInput as wrong:
            raise InvalidInput(wrong.message, ("body", "signing_key"), wrong.kind) from None
        return Written(orjson.dumps(document(kept) | {"signing_key": key_document(shown)}))

    return _private(await write_in_account(request, create))


@router.get("/integrations", include_in_schema=False)
async def list_integrations(request: Request) -> Response:
    """All of them, the oldest first, or those whose webhook is active, or is not."""
    wanted = _active_of(request)
    every = await listed(request)
    data = [document(one) for one in every if wanted in (None, one.shop.webhook_active)]
    return _json({"data": data})


@router.get("/integrations/{integration_id}", include_in_schema=False)
async def one_integration(request: Request, integration_id: str) -> Response:
    """One of them."""
    return _json(document(await found(request, integration_id)))


@router.patch("/integrations/{integration_id}", include_in_schema=False)
async def change_integration(request: Request, integration_id: str) -> Response:
    """Set what is given."""
    given = read_own(OwnChange, await json_of(request))
    return await changed(
        request,
        integration_id,
        given,
        lambda kept: Written(orjson.dumps(document(kept))),
    )


@router.delete("/integrations/{integration_id}", include_in_schema=False)
async def delete_integration(request: Request, integration_id: str) -> Response:
    """Delete it; that it was deleted is the last it hears."""
    return await deleted(request, integration_id)


@router.post("/integrations/{integration_id}/test", include_in_schema=False)
async def test_integration(request: Request, integration_id: str) -> Response:
    """Send the classic test at once; 200 also where that fails."""
    which = id_of(integration_id)
    account_id, actor = caller_of(request)
    core, trials = request.app.state.parts.core, request.app.state.parts.trials
    may_take(core.settings.egress_seconds + BESIDE_TEST_SECONDS)

    async def test() -> Written:
        result = await trials.send_to_integration(account_id, which, actor)
        return Written(orjson.dumps(trial_document(result)))

    return await write_again(request, core.pool, test, keep_hours=core.settings.idempotency_hours)


@router.post("/integrations/{integration_id}/signing-key", include_in_schema=False)
async def set_integration_key(request: Request, integration_id: str) -> Response:
    """Another key to sign with, shown once."""
    return await _set_key(request, integration_id, Kind.INTEGRATION)


@router.post("/connections/{connection_id}/signing-key", include_in_schema=False)
async def set_connection_key(request: Request, connection_id: str) -> Response:
    """The same for a webhook of the Event Subscriptions API."""
    return await _set_key(request, connection_id, Kind.WEBHOOK)


def document(kept: KeptIntegration) -> dict[str, Any]:
    """An integration as our own calls tell it: as v3 does, and how its deliveries do."""
    until = kept.former_key_until
    in_force = until is not None and until > datetime.now(UTC)
    return v3_integration(kept.published, kept.created_at, kept.shop.feedback_type) | {
        "state": kept.state,
        "state_reason": kept.reason,
        "former_key_until": v3_moment(until) if until is not None and in_force else None,
    }


def key_document(shown: ShownKey) -> dict[str, Any]:
    """A key, this once."""
    until = shown.former_key_until
    return {
        "key": shown.key,
        "library_key": shown.library_key,
        "former_key_until": None if until is None else v3_moment(until),
    }


async def _set_key(request: Request, connection_id: str, kind: Kind) -> Response:
    which = id_of(connection_id)
    _takes_no_idempotency_key(request)
    await request.body()
    given = read_own(KeyGiven, request.scope.get(JSON_KEY, {}))
    account_id, actor = caller_of(request)
    core = request.app.state.parts.core

    async def rotate(conn: Connection) -> Written:
        shown = await set_key(
            conn,
            core.secret_keys,
            account_id,
            which,
            given.key,
            actor=actor,
            now=datetime.now(UTC),
            kinds=(kind,),
        )
        return Written(orjson.dumps(key_document(shown)))

    return _private(await write_in_account(request, rotate))


def _takes_no_idempotency_key(request: Request) -> None:
    """What answers with a secret is not kept, so it can't be given again."""
    if KEY_HEADER in request.headers:
        why = "None here: the answer holds a secret, which is shown once and not kept"
        field = ("header", "Idempotency-Key")
        raise Refused(invalid(FieldProblem(field, why, "idempotency_key_unsupported")))


def _active_of(request: Request) -> bool | None:
    wanted = None
    for name, value in parameters(request.scope):
        if name != "webhook_active":
            raise InvalidInput(
                "Unknown parameter; there is webhook_active", ("query", name), "unknown"
            )
        if value not in _TRUTHS:
            raise InvalidInput("Not one of true, false", ("query", name), "enum")
        wanted = _TRUTHS[value]
    return wanted


def _private(response: Response) -> Response:
    response.headers.update(_PRIVATE)
    return response


def _json(told: object) -> Response:
    return Response(orjson.dumps(told), media_type="application/json", headers=_PRIVATE)
