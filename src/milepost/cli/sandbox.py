"""``milepost sandbox advance``: move the clock of an account's simulated carriers."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from milepost.cli.parcels import Account, AsJson, open_desk
from milepost.db.pool import retrying, tenant
from milepost.errors import ConfigurationError, InvalidInput
from milepost.monitoring.sandbox import advance as advance_clock

sandbox = typer.Typer(help="The simulated carrier.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(sandbox, name="sandbox")


@sandbox.command()
def advance(
    days: Annotated[float, typer.Option(help="Days to move forward.")] = 0,
    hours: Annotated[float, typer.Option(help="Hours to move forward.")] = 0,
    seconds: Annotated[float, typer.Option(help="Seconds to move forward.")] = 0,
    account: Account = "",
    as_json: AsJson = False,
) -> None:
    """Move the sandbox's clock forward; its parcels are checked at once."""
    if not (days or hours or seconds):
        raise ConfigurationError("say how far: --days, --hours or --seconds")
    step = timedelta(days=days, hours=hours, seconds=seconds)
    ahead = asyncio.run(_advance(account, step))
    if as_json:
        print(f'{{"clock_offset_seconds": {ahead.total_seconds():.0f}}}')
        return
    print(f"The sandbox's clock is {ahead} ahead.")


async def _advance(account: str, step: timedelta) -> timedelta:
    async with open_desk(account) as desk:
        core = desk.core

        async def move() -> timedelta:
            async with tenant(core.pool, desk.account_id) as conn:
                return await advance_clock(
                    conn, core.credentials, core.catalogue, desk.account_id, step
                )

        try:
            return await retrying(move)
        except InvalidInput as refused:
            raise ConfigurationError(refused.message) from refused
