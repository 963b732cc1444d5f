"""``/api/milepost/v1/emails``: whether recipients are written to, about what, and in whose name."""

from collections.abc import Collection
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from milepost.api.bodies import Refused
from milepost.api.idempotent import Written
from milepost.api.in_account import caller_of, read_in_account, write_in_account
from milepost.api.problems import FieldProblem, Problem, invalid
from milepost.api.v3_parcel_tracking import json_of
from milepost.db.pool import Connection
from milepost.errors import InvalidInput
from milepost.notifications import emails, unsubscribing
from milepost.notifications.emails import Choice, Emails
from milepost.notifications.mail_address import mail_address
from milepost.settings import Settings
from milepost.wire.moments import v3_moment

PATH = "/api/milepost/v1/emails"
NO_SERVER = Problem(
    409,
    "no_mail_server",
    "This installation has no mail server: its operator sets MILEPOST_SMTP_URL.",
)
FIELDS = ("phases", "sender_name", "reply_to")
router = APIRouter(prefix=PATH)


@router.get("", include_in_schema=False)
async def shown(request: Request) -> Response:
    """What is chosen. ``is_available``: the operator has set a mail server."""
    there = await read_in_account(request, emails.found)
    return Response(
        orjson.dumps(document(there, _settings(request))),
        media_type="application/json",
        headers={"cache-control": "private, no-store"},
    )


@router.put("", include_in_schema=False)
async def choose(request: Request) -> Response:
    """Write to recipients from now on; 409 where there is no mail server to do it."""
    choice = _choice(await json_of(request))
    settings = _settings(request)
    if settings.smtp_url is None:
        raise Refused(NO_SERVER)
    account_id, actor = caller_of(request)

    async def work(conn: Connection) -> Written:
        made = await emails.choose(conn, account_id, choice, actor)
        return Written(orjson.dumps(document(made, settings)))

    return await write_in_account(request, work)


@router.delete("", include_in_schema=False)
async def end(request: Request) -> Response:
    """Write to nobody any more; letters on their way are given up."""
    account_id, actor = caller_of(request)

    async def work(conn: Connection) -> Written:
        await emails.end(conn, account_id, actor)
        return Written(b"", status=204)

    return await write_in_account(request, work)


@router.post("/unsubscriptions/lift", include_in_schema=False)
async def lift(request: Request) -> Response:
    """A recipient who had unsubscribed has asked for letters again."""
    given = _only(await json_of(request), ("address",))
    address = mail_address(_text(given, "address"))
    if address is None:
        raise InvalidInput("An e-mail address is required.", ("body", "address"), "value_error")
    account_id, actor = caller_of(request)
    keys = request.app.state.parts.core.secret_keys

    async def work(conn: Connection) -> Written:
        lifted = await unsubscribing.lift(conn, keys, account_id, address, actor)
        return Written(orjson.dumps({"lifted": lifted}))

    return await write_in_account(request, work)


def document(there: Emails | None, settings: Settings) -> dict[str, Any]:
    """As it is told; where nothing was ever chosen, nothing is."""
    choice = there.choice if there else Choice(())
    return {
        "is_active": there is not None and there.is_active,
        "is_available": settings.smtp_url is not None,
        "connection_id": there.connection_id if there else None,
        "phases": list(choice.phases),
        "sender_name": choice.sender_name,
        "reply_to": choice.reply_to,
        "state": there.state if there else None,
        "reason": there.reason if there else "",
        "updated_at": v3_moment(there.updated_at) if there else None,
    }


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.parts.core.settings
    return settings


def _choice(given: Any) -> Choice:
    given = _only(given, FIELDS)
    phases = given.get("phases")
    if not isinstance(phases, list) or not phases:
        raise InvalidInput("At least one phase is required.", ("body", "phases"), "missing")
    return emails.choice_of(phases, _text(given, "sender_name"), _text(given, "reply_to"))


def _text(given: dict[str, Any], name: str) -> str:
    text = given.get(name, "")
    if not isinstance(text, str):
        raise InvalidInput("A text is required.", ("body", name), "type")
    return text


def _only(given: Any, fields: Collection[str]) -> dict[str, Any]:
    """An object that has nothing else. Raises InvalidInput, Refused."""
    if not isinstance(given, dict):
        raise InvalidInput("An object is required.", ("body",), "type")
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise Refused(
            invalid(*(FieldProblem(("body", name), "Unknown field", "unknown") for name in unknown))
        )
    return given
