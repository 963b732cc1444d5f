"""``milepost parcels list``, ``show`` and ``explain``: what the account has, from the terminal."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.text import Text

from milepost.api.bodies import Refused
from milepost.api.parcel_filters import MOST_ON_A_PAGE, ListRequest, read_list
from milepost.cli.parcels import Account, AsJson, Desk, draw, open_desk, printable
from milepost.errors import ConfigurationError
from milepost.parcels.listing import ForeignCursor, Page, list_parcels
from milepost.wire.own import Described, explanation, parcel_document

HEADINGS = ("parcel_id", "carrier", "number", "status", "since (UTC)", "monitoring", "source_id")

Number = Annotated[str, typer.Argument(help="A tracking number, or a parcel's id.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="List parcels, show one, explain one.", no_args_is_help=True)
    group.command("list")(list_command)
    group.command("show")(show)
    group.command("explain")(explain)
    app.add_typer(group, name="parcels")


def list_command(
    search: Annotated[str, typer.Argument(help="Beginnings of words to look for.")] = "",
    status: Annotated[str, typer.Option(help="Status codes, with commas.")] = "",
    exception: Annotated[str, typer.Option(help="Exceptions, with commas.")] = "",
    carrier: Annotated[str, typer.Option(help="Carrier codes, with commas.")] = "",
    updated_since: Annotated[str, typer.Option(help="Changed at or after; ISO 8601.")] = "",
    active: Annotated[
        bool | None, typer.Option("--active/--ended", help="Under way, or over.")
    ] = None,
    sort: Annotated[
        str, typer.Option(help="created_at, updated_at or ended_at; - is newest first.")
    ] = "-created_at",
    limit: Annotated[int, typer.Option(help="Parcels on a page.", min=1, max=MOST_ON_A_PAGE)] = 50,
    cursor: Annotated[str, typer.Option(help="The next page, as the page before said.")] = "",
    account: Account = "",
    as_json: AsJson = False,
) -> None:
    """List parcels, newest first."""
    given = {
        "q": search,
        "status": status,
        "exception": exception,
        "carrier_code": carrier,
        "updated_since": updated_since,
        "active": "" if active is None else str(active).lower(),
        "sort": sort,
        "limit": str(limit),
        "cursor": cursor,
    }
    try:
        asked = read_list((name, value) for name, value in given.items() if value)
    except Refused as refused:
        wrong = "; ".join(f"{one.loc[-1]}: {one.msg}" for one in refused.problem.fields)
        raise ConfigurationError(wrong) from refused
    page, parcels = asyncio.run(_list(account, asked))
    if as_json:
        now = datetime.now(UTC)
        data = [parcel_document(one, now, events=False) for one in parcels]
        _print({"data": data, "next_cursor": page.next_cursor or None})
        return
    console = Console()
    _draw_list(console, parcels)
    if page.next_cursor:
        console.print(f"More: --cursor {page.next_cursor}", soft_wrap=True)


def show(number: Number, account: Account = "", as_json: AsJson = False) -> None:
    """Show a parcel with everything that is known of it."""
    found = asyncio.run(_one(account, number))
    document = parcel_document(found, datetime.now(UTC))
    if as_json:
        _print(document)
        return
    console = Console()
    draw(console, found.parcel, found.journey)
    checked, due = document["last_checked_at"] or "never", document["next_check_at"] or "never"
    console.print(f"parcel {document['parcel_id']}, checked {checked}, next check {due}")


def explain(number: Number, account: Account = "", as_json: AsJson = False) -> None:
    """Say why a parcel has its status, and what was made of each event."""
    found = asyncio.run(_one(account, number))
    document = explanation(found.parcel, found.journey)
    if as_json:
        _print(document)
        return
    console = Console()
    console.print(Text(f"{document['status']['code']}: {document['status_rule']['text']}", "bold"))
    for event in document["events"]:
        mark = "○" if event["ignored"] else "●"
        told = f"{event['raw_code']} {event['raw_text']}"
        console.print(
            Text(f"  {event['event_at']}  {mark} {printable(told)}"),
            Text(
                f"      leg {event['leg']}, read as {_words(event['reading'])} "
                f"(mapping {event['mapping_version']}, {event['source']}). {event['reason']}",
                "dim",
            ),
            sep="\n",
            soft_wrap=True,
        )


def _words(reading: dict[str, str]) -> str:
    return " ".join(word for word in reading.values() if word not in ("none", "success"))


def _draw_list(console: Console, parcels: list[Described]) -> None:
    """One line for each, never broken: numbers are there to be copied."""
    if not parcels:
        console.print("No parcels.")
        return
    rows = [HEADINGS]
    rows += [
        (
            str(one.parcel.parcel_id),
            printable(one.parcel.carrier_code),
            printable(one.parcel.tracking_number),
            one.journey.status,
            f"{one.journey.status_at:%Y-%m-%d %H:%M}",
            one.parcel.monitoring.state,
            printable(one.parcel.source_id),
        )
        for one in parcels
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(Text("  ".join(cells).rstrip()), soft_wrap=True)


def _print(document: object) -> None:
    print(orjson.dumps(document).decode())


async def _list(account: str, asked: ListRequest) -> tuple[Page, list[Described]]:
    async with open_desk(account) as desk:
        try:
            page = await list_parcels(desk.core.pool, desk.account_id, asked.page)
        except ForeignCursor as refused:
            raise ConfigurationError("the cursor was given for another list") from refused
        found = await desk.core.documents.describe(desk.account_id, page.parcel_ids)
    return page, [found[parcel_id] for parcel_id in page.parcel_ids if parcel_id in found]


async def _one(account: str, number: str) -> Described:
    async with open_desk(account) as desk:
        for parcel_id in await _candidates(desk, number):
            found: dict[int, Any] = await desk.core.documents.describe(desk.account_id, [parcel_id])
            if parcel_id in found:
                described: Described = found[parcel_id]
                return described
    raise ConfigurationError(f"no parcel with number or id {number} in this account")


async def _candidates(desk: Desk, number: str) -> list[int]:
    """The parcel of that number first: a number of digits may look like an id."""
    by_number = await desk.core.reader.parcel_id(desk.account_id, number)
    by_id = int(number) if number.isascii() and number.isdecimal() and len(number) < 19 else None
    return [one for one in (by_number, by_id) if one is not None]
