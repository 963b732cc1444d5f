"""``/api/v3/event-subscriptions/connections``: where an account's events go.

Sendcloud's Event Subscriptions API as published; what is ours in it (``payload_form``) is told in
docs/compatibility.md.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from milepost.api.idempotent import Written, write_again
from milepost.api.in_account import caller_of, id_of, read_in_account, write_in_account
from milepost.api.v3_data import answered, parameter_of, written, wrong_choice
from milepost.api.v3_event_subscription_models import ConnectionChange, ConnectionGiven, read
from milepost.api.v3_parcel_tracking import json_of
from milepost.db.pool import Connection
from milepost.errors import InvalidInput
from milepost.notifications import connections
from milepost.notifications.connections import KINDS, Destination
from milepost.notifications.forms import Kind
from milepost.notifications.masking import HIDDEN
from milepost.wire.moments import v3_moment

PREFIX = "/api/v3/event-subscriptions"
router = APIRouter(prefix=PREFIX)
NO_KLAVIYO = "Klaviyo can't be authorized: this installation has no Klaviyo application."
NO_AUTHORIZATION = "A connection of this type needs no authorization."


@router.post("/connections", include_in_schema=False)
async def create_connection(request: Request) -> Response:
    """Make a connection; its login and its headers' values are told to nobody any more."""
    given = read(ConnectionGiven, await json_of(request))
    account_id, actor = caller_of(request)
    room = request.app.state.parts.connections

    async def create(conn: Connection) -> Written:
        wanted = given.configuration.change()
        made = await room.create(conn, account_id, given.kind, wanted, actor)
        return written(connection_document(made), 201)

    return await write_in_account(request, create)


@router.get("/connections", include_in_schema=False)
async def list_connections(request: Request) -> Response:
    """All of the account's, or those of a type."""
    kind = parameter_of(request, "connection_type")
    if kind is not None and kind not in KINDS:
        raise wrong_choice("connection_type", KINDS)
    kinds = KINDS if kind is None else (Kind(kind),)
    found = await read_in_account(
        request, lambda conn, account: connections.listed(conn, account, kinds)
    )
    return answered([connection_document(one) for one in found])


@router.get("/connections/{connection_id}", include_in_schema=False)
async def one_connection(request: Request, connection_id: str) -> Response:
    """One of them."""
    which = id_of(connection_id)
    found = await read_in_account(
        request, lambda conn, account: connections.found(conn, account, which)
    )
    return answered(connection_document(found))


@router.patch("/connections/{connection_id}", include_in_schema=False)
async def change_connection(request: Request, connection_id: str) -> Response:
    """Lay what is given over the configuration."""
    which = id_of(connection_id)
    given = read(ConnectionChange, await json_of(request))
    account_id, actor = caller_of(request)
    room = request.app.state.parts.connections

    async def change(conn: Connection) -> Written:
        is_now = await connections.found(conn, account_id, which)
        if given.kind not in (None, is_now.kind):
            why = "The type of a connection can't be changed."
            raise InvalidInput(why, ("type",), "invalid")
        wanted = given.configuration.change()
        made = await room.change(conn, account_id, which, wanted, actor)
        return written(connection_document(made))

    return await write_in_account(request, change)


@router.delete("/connections/{connection_id}", include_in_schema=False)
async def delete_connection(request: Request, connection_id: str) -> Response:
    """End a connection, its subscriptions and what was waiting for it."""
    which = id_of(connection_id)
    account_id, actor = caller_of(request)
    core = request.app.state.parts.core

    async def delete() -> Written:
        await connections.delete(core.pool, account_id, which, actor)
        return Written(b"", status=204)

    return await write_again(request, core.pool, delete, keep_hours=core.settings.idempotency_hours)


@router.post("/connections/{connection_id}/authorization", include_in_schema=False)
async def authorize(request: Request, connection_id: str) -> Response:
    """Where a klaviyo connection would be authorized: nowhere, and we say so."""
    which = id_of(connection_id)
    found = await read_in_account(
        request, lambda conn, account: connections.found(conn, account, which)
    )
    why = NO_KLAVIYO if found.kind is Kind.KLAVIYO else NO_AUTHORIZATION
    raise InvalidInput(why, ("type",), "invalid")


def connection_document(one: Destination) -> dict[str, Any]:
    """A connection as it is told: nothing of its login, of its headers the names."""
    configuration = {
        "url": one.url,
        "auth_type": one.auth_type,
        "extra_headers": dict.fromkeys(one.header_names, HIDDEN),
        "payload_form": one.form,
    }
    return {
        "id": one.connection_id,
        "type": one.kind,
        "configuration": configuration if one.kind is Kind.WEBHOOK else {},
        "created_at": v3_moment(one.created_at),
        "updated_at": v3_moment(one.updated_at),
    }
