"""``milepost export``: an account's parcels as CSV or NDJSON, or everything held about one."""

import asyncio
import csv
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import orjson
import typer
from pydantic_core import PydanticCustomError
from rich.console import Console

from milepost.api.v3_fields import read_moment
from milepost.cli.administer import AccountOption
from milepost.cli.erasing import GREATEST_ID
from milepost.cli.import_columns import COLUMNS
from milepost.cli.parcels import Desk, open_desk
from milepost.errors import ConfigurationError
from milepost.parcels.held import Wanted, everything, ids_of, parcels
from milepost.tracking.telling import storable
from milepost.wire.own import Described, parcel_document
from milepost.wire.spreadsheet import guarded

_TOLD = (
    "parcel_id",
    "status",
    "parent_status",
    "status_at",
    "monitoring",
    "created_at",
    "updated_at",
    "first_scan_at",
    "last_scan_at",
    "ended_at",
)
"""Columns beside those of an import."""


class Form(StrEnum):
    """How parcels are written."""

    CSV = "csv"
    NDJSON = "ndjson"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    account: AccountOption = "",
    form: Annotated[Form, typer.Option("--format", help="csv or ndjson.")] = Form.CSV,
    output: Annotated[
        Path | None, typer.Option(help="A file; standard output when left out.")
    ] = None,
    carrier: Annotated[str | None, typer.Option(help="Only of this carrier code.")] = None,
    status: Annotated[str | None, typer.Option(help="Only in this status.")] = None,
    created_from: Annotated[str | None, typer.Option(help="Registered at or after.")] = None,
    created_before: Annotated[str | None, typer.Option(help="Registered before.")] = None,
    updated_from: Annotated[str | None, typer.Option(help="Changed at or after.")] = None,
    events: Annotated[bool, typer.Option("--events", help="With their events (NDJSON).")] = False,
    everything_held: Annotated[
        bool, typer.Option("--everything", help="All that is held about --number or --parcel.")
    ] = False,
    number: Annotated[str, typer.Option(help="With --everything: its tracking number.")] = "",
    parcel: Annotated[
        int, typer.Option(help="With --everything: its parcel id.", min=0, max=GREATEST_ID)
    ] = 0,
) -> None:
    """Write an account's parcels, oldest first; times are ISO 8601.

    CSV has the columns of an import and the status, and is safe to open in a spreadsheet.
    """
    wanted = Wanted(
        carrier_code=carrier.strip().lower() if carrier else None,
        status=status,
        created_from=moment_of("--created-from", created_from),
        created_before=moment_of("--created-before", created_before),
        updated_from=moment_of("--updated-from", updated_from),
    )
    if everything_held != bool(number or parcel):
        raise ConfigurationError("--everything goes with --number or --parcel")
    with _opened(output) as out:
        if everything_held:
            asyncio.run(_everything(out, account, number, parcel))
            return
        count = asyncio.run(_parcels(out, account, form, wanted, events=events))
    if output is not None:
        Console(stderr=True).print(f"{count} parcels in {output}")


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file nobody else may read that appears when it is whole."""
    if output is None:
        text = io.TextIOWrapper(sys.stdout.buffer, "utf-8", newline="")
        try:
            yield text
        finally:
            # It would close standard output with itself.
            text.detach()
        return
    part = output.with_name(f"{output.name}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{output} can't be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException:
        # Nobody would look for people's data in what is left of it.
        part.unlink(missing_ok=True)
        raise
    part.replace(output)


async def _parcels(out: TextIO, account: str, form: Form, wanted: Wanted, *, events: bool) -> int:
    """How many were written."""
    written = 0
    async with open_desk(account) as desk:
        table = csv.writer(out)
        if form is Form.CSV:
            table.writerow([*COLUMNS, *_TOLD])
        async for page in parcels(desk.core.pool, desk.core.documents, desk.account_id, wanted):
            if form is Form.CSV:
                table.writerows(_cells(one) for one in page)
            else:
                now = datetime.now(UTC)
                for one in page:
                    document = parcel_document(one, now, events=events)
                    out.write(orjson.dumps(document).decode() + "\n")
            written += len(page)
    out.flush()
    return written


async def _everything(out: TextIO, account: str, number: str, parcel_id: int) -> None:
    async with open_desk(account) as desk:
        account_id, named = desk.account_id, storable(number)
        ids = [parcel_id] if parcel_id else await ids_of(desk.core.pool, account_id, named)
        held = [await _held(desk, one) for one in ids]
    found = [one for one in held if one["held"]]
    if not found:
        raise ConfigurationError("nothing is held about it in this account")
    json.dump(found, out, ensure_ascii=False, indent=2)
    out.write("\n")
    out.flush()


async def _held(desk: Desk, parcel_id: int) -> dict[str, Any]:
    held = await everything(desk.core.pool, desk.account_id, parcel_id)
    return {"parcel_id": str(parcel_id), "held": held}


def _cells(described: Described) -> list[str]:
    parcel = described.parcel
    document = parcel_document(described, datetime.now(UTC), events=False)
    kept = {**parcel.document}
    kept |= {name: document[name] for name in ("announced_at", "source_id")}
    status = document["status"]
    told = document | {
        "status": status["code"],
        "parent_status": status["parent_status"],
        "status_at": status["at"],
        "monitoring": parcel.monitoring.state,
    }
    cells = [_at(kept, column.path) for column in COLUMNS.values()]
    return [guarded(_text(value)) for value in (*cells, *(told[name] for name in _TOLD))]


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return document


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


def moment_of(option: str, given: str | None) -> datetime | None:
    """The time (UTC) that an option states. Raises ConfigurationError that names it."""
    if given is None:
        return None
    try:
        return read_moment(given)
    except PydanticCustomError as refused:
        raise ConfigurationError(f"{option}: {refused.message()}") from refused
