"""``milepost register`` and ``milepost track``: a parcel from the terminal."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.text import Text

from milepost.accounts.keys import Account as AccountRow
from milepost.accounts.keys import choose_account
from milepost.api.problems import Problem
from milepost.api.unnamed_carriers import Named, only_registered, with_carrier
from milepost.api.v3_models import read_registration
from milepost.carriers.recognise import Candidate
from milepost.cli.session import open_session
from milepost.db.pool import Pool, open_pool
from milepost.errors import ConfigurationError, MilepostError
from milepost.settings import load
from milepost.tracking.journey import Entry, Journey
from milepost.tracking.parcel import TrackedParcel
from milepost.tracking.vocabulary import StatusType
from milepost.wire import v3
from milepost.wiring import CoreParts, core_parts

Account = Annotated[
    str, typer.Option("--account", help="Name or id; needed where there are several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STYLES = {StatusType.SUCCESS: "green", StatusType.WARNING: "yellow", StatusType.ERROR: "red"}


@dataclass(frozen=True, slots=True)
class Desk:
    """One account's parcels, for a command."""

    account_id: int
    core: CoreParts

    async def naming(self, given: Any) -> Named:
        """A registration with the carrier it names, or the one its number clearly is of."""
        return await with_carrier(given, self.account_id, self.core.recognitions)


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("register")(register)
    app.command("track")(track)


def register(
    number: Annotated[str, typer.Argument(help="The carrier's tracking number.")],
    carrier: Annotated[
        str, typer.Option(help="Carrier code, such as dhl; recognised by the number if left out.")
    ] = "",
    to_country: Annotated[str, typer.Option(help="Country of the recipient.")] = "NL",
    to_postal_code: Annotated[str, typer.Option(help="Postal code of the recipient.")] = "-",
    from_country: Annotated[str, typer.Option(help="Country of the sender.")] = "NL",
    from_postal_code: Annotated[str, typer.Option(help="Postal code of the sender.")] = "-",
    announced_at: Annotated[str, typer.Option(help="ISO 8601; now when left out.")] = "",
    source_id: Annotated[str, typer.Option(help="Your own id of the parcel.")] = "",
    account: Account = "",
    as_json: AsJson = False,
) -> None:
    """Register a parcel for tracking."""
    request = {
        "announced_at": announced_at or datetime.now(UTC).isoformat(),
        "from_address": {"country_code": from_country, "postal_code": from_postal_code},
        "to_address": {"country_code": to_country, "postal_code": to_postal_code},
        "source_id": source_id,
        "tracking_number": {"carrier_code": carrier, "tracking_number": number},
    }
    answer, recognised = asyncio.run(_register(account, request))
    if as_json:
        print(answer.decode())
        return
    document = orjson.loads(answer)
    console = Console()
    if recognised is not None:
        sure, why = recognised.probability, "; ".join(recognised.reasons)
        console.print(f"Recognised as {recognised.carrier_name}, {sure:.0%} sure: {why}")
        number, carrier = recognised.number, recognised.carrier_code
    console.print(f"Registered {number} at {carrier}: {document['monitoring']['reason']}")
    for warning in document.get("warnings", ()):
        console.print(Text(f"Warning: {warning['message']}", "yellow"))


def track(
    number: Annotated[str, typer.Argument(help="The carrier's tracking number.")],
    carrier: Annotated[str, typer.Option(help="Carrier code, where several have it.")] = "",
    account: Account = "",
    as_json: AsJson = False,
) -> None:
    """Show a parcel's timeline."""
    found = asyncio.run(_track(account, number, carrier or None))
    if found is None:
        raise ConfigurationError(f"no parcel with number {number} in this account")
    if as_json:
        print(v3.tracking_answer(*found).decode())
        return
    draw(Console(), *found)


def draw(console: Console, parcel: TrackedParcel, journey: Journey) -> None:
    """The timeline, newest event first."""
    console.print(f"[bold]{parcel.carrier_code}[/bold]  ", Text(parcel.tracking_number, "bold"))
    console.print(
        f"{parcel.monitoring.state}: ", Text(parcel.monitoring.reason), sep="", soft_wrap=True
    )
    if parcel.expected_delivery_date and journey.ended_at is None:
        console.print(f"expected {parcel.expected_delivery_date:%a %d %b %Y}")
    for entry in reversed(journey.entries):
        console.print(_line(entry), soft_wrap=True)


def _line(entry: Entry) -> Text:
    place = entry.event.wording.place
    where = ", ".join(part for part in (place.city, place.country_code) if part)
    line = Text(f"  {entry.effective_at:%Y-%m-%d %H:%M} UTC  ")
    line.append("● " if entry.moves else "○ ", _STYLES[entry.shown.status_type])
    line.append(f"{entry.status:<26}", _STYLES[entry.shown.status_type])
    line.append(printable(entry.event.wording.raw_text))
    if where:
        line.append(f"  ({printable(where)})", "dim")
    return line


def printable(text: str) -> str:
    """A carrier's words may hold anything; the terminal must not obey them."""
    return "".join(character if character.isprintable() else " " for character in text)


async def _register(account: str, request: dict[str, Any]) -> tuple[bytes, Candidate | None]:
    async with open_desk(account) as desk:
        named = await desk.naming(request)
        if named.problem is not None:
            raise ConfigurationError(named.problem.detail)
        code = named.document["tracking_number"]["carrier_code"]
        registration = read_registration(named.document | {"ship_with": only_registered(code)})
        if isinstance(registration, Problem):
            fields = "; ".join(f"{'.'.join(map(str, f.loc))}: {f.msg}" for f in registration.fields)
            raise ConfigurationError(fields or registration.detail)
        try:
            answer = await desk.core.registrar.register(desk.account_id, registration)
        except MilepostError as refused:
            raise ConfigurationError(str(refused)) from refused
        return answer, named.recognised


async def _track(
    account: str, number: str, carrier: str | None
) -> tuple[TrackedParcel, Journey] | None:
    async with open_desk(account) as desk:
        return await desk.core.reader.load(desk.account_id, number, carrier)


async def _chosen(admin: Pool, account: str) -> AccountRow:
    try:
        return await choose_account(admin, account)
    except MilepostError as refused:
        raise ConfigurationError(str(refused)) from refused


@asynccontextmanager
async def open_desk(account: str) -> AsyncIterator[Desk]:
    """The database and the account that ``--account`` names."""
    settings = load()
    async with open_session(settings) as session:
        async with await open_pool(session.dsn, "milepost_admin", settings) as admin:
            account_id = (await _chosen(admin, account)).account_id
        async with core_parts(session.settings, "milepost_app") as core:
            yield Desk(account_id, core)
