"""``milepost db distribute``: spreads the database over the machines of a Citus cluster."""

import asyncio
import json
from typing import Annotated

import asyncpg
import typer

from milepost.cli.session import open_session
from milepost.db import distribute as spreading
from milepost.settings import load

MOST_SHARDS = 64_000


def distribute(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the statements that would run; needs no Citus.")
    ] = False,
    shards: Annotated[
        int,
        typer.Option(
            help="Pieces each table is cut into: at least as many as there will ever be machines.",
            min=1,
            max=MOST_SHARDS,
        ),
    ] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make every tenant's table and function distributed by account; what is so stays so."""

    async def run() -> list[str]:
        # It is this command that makes a half distributed database whole.
        async with open_session(load(), whole=False) as session:
            if not dry_run:
                return await spreading.distribute(session.dsn, shards)
            connection = await asyncpg.connect(
                session.dsn, server_settings={"search_path": "public"}
            )
            try:
                return [step.sql for step in await spreading.pending(connection, shards)]
            finally:
                await connection.close()

    statements = asyncio.run(run())
    if as_json:
        typer.echo(json.dumps({"dry_run": dry_run, "statements": statements}))
    elif dry_run:
        typer.echo("".join(f"{statement};\n" for statement in statements), nl=False)
    else:
        typer.echo(f"the database is distributed; {len(statements)} statements ran")
