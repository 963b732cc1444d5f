"""``milepost demo``: everything at once, with an account, its key and parcels that move.

1. Start what ``milepost run`` starts.
2. Make the account "demo" and a key where they are missing; the key is kept in STATE_DIR/demo.json.
3. Register demo parcels over HTTP, as any client would. Those of an earlier start go on.
4. Tell in the terminal what happens to them until all are delivered.
"""

import asyncio
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from milepost import settings
from milepost.accounts.keys import create_account, create_key, find_account, list_keys
from milepost.carriers.registry import Catalogue
from milepost.cli.demo_parcels import DemoClient, DemoParcel, Move, demo_parcels
from milepost.cli.run import run_processes
from milepost.cli.session import Session
from milepost.db.pool import Pool, open_pool
from milepost.errors import ConfigurationError, NotFoundError

ACCOUNT = "demo"
# An account may read 1000 times a minute: following a handful of parcels leaves it nearly all.
FOLLOW_SECONDS = 2.0
STYLES = {"success": "green", "warning": "yellow", "error": "red"}


@dataclass(frozen=True, slots=True)
class DemoKey:
    """STATE_DIR/demo.json. ``starts`` counts the starts: each registers a parcel that moves."""

    account: str
    account_id: int
    public_key: str
    secret_key: str
    user: str
    starts: int = 0


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Run everything, with a demo account and parcels on their way. Ctrl-C stops it all."""
    console = Console(highlight=False, soft_wrap=True)
    kept = settings.load()
    if not as_json:
        # Making a database is the longest part of a first start.
        typer.echo(f"Starting Milepost, which keeps its data in {kept.state_dir}", err=True)

    async def when_ready(session: Session, url: str) -> None:
        await show(session, url, console, as_json=as_json)

    run_processes(kept, api=True, worker=True, on_ready=when_ready)


async def show(session: Session, url: str, console: Console, *, as_json: bool) -> None:
    """Steps 2 to 4, beside the running server."""
    async with await open_pool(session.dsn, "milepost_admin", session.settings, max_size=1) as pool:
        key = await demo_key(session, pool)
    greet(console, url, key, as_json=as_json)
    parcels = demo_parcels(Catalogue.load(), key.starts)
    async with DemoClient(url, key.public_key, key.secret_key) as client:
        await client.until_answered()
        told = await register_all(client, parcels, console, as_json=as_json)
        await follow(client, parcels, told, console, as_json=as_json)


async def demo_key(session: Session, pool: Pool) -> DemoKey:
    """The key in demo.json where it still opens the door, else a new one."""
    path = session.settings.state_dir / "demo.json"
    try:
        account = await find_account(pool, ACCOUNT)
    except NotFoundError:
        account = await create_account(pool, ACCOUNT)
    kept = read_key(path)
    valid = [key for key in await list_keys(pool, account.account_id) if key.revoked_at is None]
    if kept is None or kept.public_key not in {key.public_key for key in valid}:
        made = await create_key(pool, session.secret_keys, account.account_id, label=ACCOUNT)
        public, secret = made.key.public_key, made.secret_key
        user = f"{public}:{secret}"
        kept = DemoKey(account.name, account.account_id, public, secret, user)
    key = DemoKey(**{**asdict(kept), "starts": kept.starts + 1})
    write_key(path, key)
    return key


def read_key(path: Path) -> DemoKey | None:
    """What an earlier start kept, None where there is nothing we can use."""
    try:
        return DemoKey(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_key(path: Path, key: DemoKey) -> None:
    """Kept whole or not at all, and for nobody else to read."""
    draft = path.with_name(f".demo.json.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(key), file, indent=2)
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error}") from error


def greet(console: Console, url: str, key: DemoKey, *, as_json: bool) -> None:
    """Where it runs, who may ask, and a line to try."""
    if as_json:
        console.print_json(data={"url": url, **asdict(key)}, indent=None)
        return
    console.print(f"\n[bold]Milepost runs on {url}[/]   API docs: {url}/docs\n")
    console.print(f"  account     {key.account}")
    console.print(f"  public key  {key.public_key}")
    console.print(f"  secret key  {key.secret_key}\n")
    console.print("Try, in another terminal:\n")
    console.print(f"  curl -u {key.user} {url}/api/v2/parcels/statuses\n")


async def register_all(
    client: DemoClient, parcels: list[DemoParcel], console: Console, *, as_json: bool
) -> set[str]:
    """Registers what is new, says which parcels nobody can ask about yet.

    Returns the ids of events that an earlier start has told.
    """
    told: set[str] = set()
    for parcel in parcels:
        new = await client.register(parcel)
        if not parcel.simulated:
            say_waiting(console, parcel, await client.monitoring(parcel), as_json=as_json)
        elif not new:
            told |= {move.event_id for move in (await client.moves(parcel))[0]}
    if not as_json:
        console.print("\nWhat the simulated parcels do (Ctrl-C stops everything):\n")
    return told


def say_waiting(
    console: Console, parcel: DemoParcel, monitoring: Mapping[str, str], *, as_json: bool
) -> None:
    """One line for a parcel of a real carrier."""
    if as_json:
        told = {"number": parcel.number, "carrier": parcel.carrier_code, **monitoring}
        console.print_json(data=told, indent=None)
        return
    state, reason = monitoring["state"], monitoring["reason"]
    console.print(f"  {parcel.carrier_code:<12} {parcel.number:<26} {state}: {reason}")


async def follow(
    client: DemoClient,
    parcels: list[DemoParcel],
    told: set[str],
    console: Console,
    *,
    as_json: bool,
) -> None:
    """Tells each move once, until every followed parcel has ended."""
    under_way = [parcel for parcel in parcels if parcel.simulated]
    while under_way:
        still: list[DemoParcel] = []
        for parcel in under_way:
            moves, ended = await client.moves(parcel)
            for move in moves:
                if move.event_id not in told:
                    told.add(move.event_id)
                    tell(console, parcel, move, as_json=as_json)
            still += [] if ended else [parcel]
        under_way = still
        await asyncio.sleep(FOLLOW_SECONDS)


def tell(console: Console, parcel: DemoParcel, move: Move, *, as_json: bool) -> None:
    """One line for one event."""
    if as_json:
        console.print_json(data={"number": parcel.number, **asdict(move)}, indent=None)
        return
    line = Text(f"  {move.at:<20}  {parcel.number:<26}  ")
    line.append(move.description, style=STYLES.get(move.status_type, ""))
    line.append(f"  {move.city}" if move.city else "", style="dim")
    console.print(line)
