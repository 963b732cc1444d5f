"""The operator's one-shot commands: one piece of work as the admin role, and how it is printed."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from milepost.accounts import keys as accounts
from milepost.accounts.secret_keys import SecretKeys
from milepost.cli.session import open_session
from milepost.db.pool import Pool, open_pool
from milepost.errors import ConfigurationError, DatabaseUnavailable, MilepostError
from milepost.settings import load

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AccountOption = Annotated[
    str, typer.Option("--account", help="Name or id of the account; needed when there are several.")
]


def administer(work: Callable[[Pool, SecretKeys], Awaitable[T]], *, make: bool = False) -> T:
    """Do ``work`` on the installation's database; what the operator got wrong becomes one line.

    Where there is none, ``make`` makes one.
    """
    try:
        return asyncio.run(_administer(work, make=make))
    except (ConfigurationError, DatabaseUnavailable):
        raise
    except MilepostError as error:
        raise ConfigurationError(getattr(error, "message", "") or str(error)) from error


async def _administer(work: Callable[[Pool, SecretKeys], Awaitable[T]], *, make: bool) -> T:
    async with open_session(load(), make=make) as session:
        settings = session.settings
        async with await open_pool(session.dsn, "milepost_admin", settings, max_size=2) as pool:
            return await work(pool, session.secret_keys)


async def chosen_account(pool: Pool, name_or_id: str) -> accounts.Account:
    """The account that is named, or the only one there is."""
    if name_or_id:
        return await accounts.find_account(pool, name_or_id)
    every = await accounts.list_accounts(pool)
    if len(every) == 1:
        return every[0]
    raise ConfigurationError(
        "there are several accounts: say which with --account"
        if every
        else "there is no account yet: milepost account create NAME"
    )


def plain(value: Any) -> Any:
    """A result as JSON takes it: dataclasses as objects, instants as ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))


def print_facts(facts: Mapping[str, object]) -> None:
    """One thing: a name and a value a line, easy to read and to copy."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {shown(value)}")


def print_table(rows: Sequence[Mapping[str, object]], none: str) -> None:
    """Several things, or the sentence ``none``."""
    if not rows:
        typer.echo(none)
        return
    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(shown(value) for value in row.values()))
    # Names are the user's: "[red]" and ":truck:" are letters, not instructions. A key that is cut
    # or folded can't be copied, so the terminal wraps what is too wide.
    width = max(Console().width, 240)
    Console(markup=False, emoji=False, highlight=False, width=width).print(table)


def shown(value: object) -> str:
    """A value as text: nothing for None, instants to the second."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return "" if value is None else str(value)
