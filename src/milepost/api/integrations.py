"""What the calls for integrations share, whichever published form they answer in."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request, Response

from milepost.api.idempotent import Written
from milepost.api.in_account import caller_of, id_of, read_in_account, write_in_account
from milepost.api.integration_models import ShopChange
from milepost.api.v3_data import parameter_of, wrong_choice
from milepost.db.pool import Connection
from milepost.notifications import integrations
from milepost.notifications.integrations import KeptIntegration

Told = Callable[[KeptIntegration], Written]


async def listed(request: Request) -> list[KeptIntegration]:
    """The account's integrations, the oldest first."""
    return await read_in_account(request, integrations.listed)


async def found(request: Request, integration_id: str) -> KeptIntegration:
    """One of them. Raises NotFoundError."""
    which = id_of(integration_id)

    async def find(conn: Connection, account_id: int) -> KeptIntegration:
        return await integrations.found(conn, account_id, which)

    return await read_in_account(request, find)


async def changed(request: Request, integration_id: str, given: ShopChange, told: Told) -> Response:
    """Change one."""
    which = id_of(integration_id)
    account_id, actor = caller_of(request)
    kept_by = request.app.state.parts.integrations

    async def change(conn: Connection) -> Written:
        return told(await kept_by.change(conn, account_id, which, given.wanted(), actor))

    return await write_in_account(request, change)


async def deleted(request: Request, integration_id: str) -> Response:
    """Delete one; nothing is answered."""
    which = id_of(integration_id)
    account_id, actor = caller_of(request)

    async def delete(conn: Connection) -> Written:
        await integrations.delete(conn, account_id, which, actor)
        return Written(b"", status=204)

    return await write_in_account(request, delete)


def in_order(
    request: Request, name: str, columns: Mapping[str, str], documents: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """``documents`` by the key that ``columns`` has for what the parameter ``name`` says, with
    ``-`` the last first. Nulls come last. Raises InvalidInput for what is no column."""
    given = parameter_of(request, name)
    if given is None:
        return documents
    key = columns.get(given.removeprefix("-"))
    if key is None:
        raise wrong_choice(name, tuple(columns))
    there = [one for one in documents if one[key] is not None]
    there.sort(key=lambda one: one[key], reverse=given.startswith("-"))
    return there + [one for one in documents if one[key] is None]
