"""``milepost db``: the schema, and what is kept for how long."""

import asyncio
from typing import Annotated

import typer

from milepost.cli.administer import AsJson, print_facts, print_json
from milepost.cli.distribution import distribute
from milepost.cli.session import open_session
from milepost.db.migrate import pending
from milepost.db.migration_files import Migration, migrations
from milepost.db.pool import open_pool
from milepost.db.server import server
from milepost.settings import load
from milepost.worker.retention import Pace, retain


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    database = typer.Typer(help="The database.", no_args_is_help=True)
    database.command("upgrade")(upgrade)
    database.command("distribute")(distribute)
    database.command("retention")(retention)
    app.add_typer(database, name="db")


def upgrade(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database's schema up to date; the version before may go on serving meanwhile."""
    missing = asyncio.run(_upgrade(dry_run=dry_run))
    names = [one.path.stem for one in missing]
    if as_json:
        revision = None if dry_run else migrations()[-1].revision
        print_json({"revision": revision, "pending" if dry_run else "applied": names})
        return
    for name in names:
        typer.echo(f"{'pending' if dry_run else 'applied'}: {name}")
    if not dry_run:
        typer.echo(f"the database is at {migrations()[-1].revision}")
    elif not names:
        typer.echo("nothing is pending")


async def _upgrade(*, dry_run: bool) -> list[Migration]:
    settings = load()
    async with server(settings, make=not dry_run) as found:
        missing = await pending(found.dsn)
        if not dry_run:
            async with open_session(settings, whole=False, make=True):
                pass
    return missing


def retention(as_json: AsJson = False) -> None:
    """Remove now what is past its time, as a worker does every hour."""
    gone = asyncio.run(_retain())
    if as_json:
        print_json(gone)
    else:
        print_facts(gone)


async def _retain() -> dict[str, int]:
    async with open_session(load()) as session:
        settings = session.settings
        async with await open_pool(session.dsn, "milepost_worker", settings, max_size=2) as pool:
            return await retain(pool, settings, Pace(asyncio.Event()))
