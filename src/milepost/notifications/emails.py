"""What an account has chosen about letters to recipients: of which phases, in whose name."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.errors import InvalidInput
from milepost.notifications import lanes
from milepost.notifications.connections import hold_account, note
from milepost.notifications.giving_up import give_up
from milepost.notifications.letter import readable
from milepost.notifications.mail_address import mail_address
from milepost.notifications.statements import EMAILS
from milepost.tracking.vocabulary import Phase

SILENT = frozenset({Phase.NONE, Phase.NO_LABEL, Phase.ANNOUNCING, Phase.UNKNOWN})
"""Phases that say nothing a recipient could use."""
PHASES = tuple(phase for phase in Phase if phase not in SILENT)
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """Letters about ``phases`` in the name of ``sender_name``; "" for the account's own.

    Answers go to ``reply_to``; "" for the operator's address, which nobody may read.
    """

    phases: tuple[Phase, ...]
    sender_name: str = ""
    reply_to: str = ""


@dataclass(frozen=True, slots=True)
class Emails:
    """A choice in force, or one that ended. ``state`` is that of its lane, ``reason`` why."""

    connection_id: int
    is_active: bool
    choice: Choice
    state: str
    reason: str
    updated_at: datetime


def choice_of(phases: Sequence[object], sender_name: str = "", reply_to: str = "") -> Choice:
    """What a client asks for. Raises InvalidInput, which names the field."""
    if not phases:
        raise InvalidInput("At least one phase is required.", ("body", "phases"), "missing")
    for place, phase in enumerate(phases):
        if phase not in PHASES:
            raise InvalidInput(f"One of {', '.join(PHASES)}.", ("body", "phases", place), "enum")
    if len(sender_name) > LONGEST_NAME:
        why = f"At most {LONGEST_NAME} characters."
        raise InvalidInput(why, ("body", "sender_name"), "value_error")
    if "@" in unicodedata.normalize("NFKC", sender_name):
        # Mail programs show the name alone: it would be read as the address it comes from.
        why = "A name, no e-mail address."
        raise InvalidInput(why, ("body", "sender_name"), "value_error")
    answers = mail_address(reply_to)
    if reply_to and (answers is None or answers.needs_utf8):
        raise InvalidInput("No e-mail address.", ("body", "reply_to"), "value_error")
    chosen = tuple(phase for phase in PHASES if phase in phases)
    return Choice(chosen, readable(sender_name, LONGEST_NAME), str(answers or ""))


async def choose(conn: Connection, account_id: int, choice: Choice, actor: str) -> Emails:
    """Write to recipients from now on, as chosen; what failed before is tried again."""
    await hold_account(conn, account_id)
    name = choice.sender_name or await EMAILS.account_name(conn, account_id=account_id)
    settings = {
        "phases": list(choice.phases),
        "sender_name": readable(name, LONGEST_NAME),
        "reply_to": choice.reply_to,
    }
    connection_id = await EMAILS.choose(conn, account_id=account_id, settings=settings)
    await EMAILS.make_lane(conn, account_id=account_id, connection_id=connection_id)
    await lanes.try_again(conn, account_id, connection_id)
    await note(conn, account_id, actor, "emails.chosen", connection_id)
    made = await found(conn, account_id)
    assert made is not None  # noqa: S101 it was made above
    return made


async def end(conn: Connection, account_id: int, actor: str) -> None:
    """Nobody is written to any more; letters on their way are given up. A repeat does nothing."""
    await hold_account(conn, account_id)
    connection_id = await EMAILS.end(conn, account_id=account_id)
    if connection_id is None:
        return
    await give_up(conn, account_id, connection_id)
    await note(conn, account_id, actor, "emails.ended", connection_id)


async def found(conn: Connection, account_id: int) -> Emails | None:
    """What is chosen; None where nothing ever was."""
    row = await EMAILS.found(conn, account_id=account_id)
    return None if row is None else _emails(row)


async def shop_of(pool: Pool, account_id: int) -> str:
    """In whose name letters of an account go out; "" where none ever did."""

    async def once() -> str:
        async with tenant(pool, account_id) as conn:
            there = await found(conn, account_id)
            return there.choice.sender_name if there else ""

    return await retrying(once)


def _emails(row: asyncpg.Record) -> Emails:
    settings = row["settings"]
    return Emails(
        connection_id=row["connection_id"],
        is_active=row["is_active"],
        choice=Choice(
            tuple(Phase(phase) for phase in settings["phases"]),
            settings["sender_name"],
            settings["reply_to"],
        ),
        state=row["state"],
        reason=row["reason"],
        updated_at=row["updated_at"],
    )
