"""``milepost webhook key``: what a subscriber's deliveries are signed with, made or brought."""

import getpass
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from milepost.cli.administer import AccountOption, AsJson, print_facts, print_json
from milepost.cli.webhook_desk import ACTOR, ConnectionId, Desk, run
from milepost.errors import ConfigurationError, InvalidInput
from milepost.notifications.signing import LONGEST_KEY, brought_key
from milepost.notifications.signing_keys import ShownKey, set_key

OwnKey = Annotated[
    bool,
    typer.Option(
        "--own-key",
        help="Sign with a key of your own (16 characters or more): asked for at the terminal, or "
        "read from standard input.",
    ),
]
KEEP_IT = "Keep the signing key: it can't be shown again, only set anew."


def add_to(webhook_commands: typer.Typer) -> None:
    """Make ``key`` one of the commands."""
    webhook_commands.command()(key)


def key(
    connection: ConnectionId,
    own_key: OwnKey = False,
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Sign with another key from now on, shown only now; the former one signs too for 24 hours."""
    brought = key_from_terminal() if own_key else None

    async def work(desk: Desk) -> dict[str, Any]:
        made = await desk.write(
            lambda conn: set_key(
                conn,
                desk.parts.core.secret_keys,
                desk.account_id,
                connection,
                brought,
                actor=ACTOR,
                now=datetime.now(UTC),
            )
        )
        return key_facts(made) | {"former_key_until": made.former_key_until}

    facts = run(account, work, f"connection {connection}")
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
        typer.echo(KEEP_IT)


def key_facts(shown: ShownKey) -> dict[str, Any]:
    """A key as it is printed."""
    return {"signing_key": shown.key, "library_key": shown.library_key}


def key_from_terminal() -> str:
    """A key that its owner brings: never on the command line, which others can read.

    Raises ConfigurationError for what can be none.
    """
    if sys.stdin.isatty():
        given = getpass.getpass("Signing key: ")
    else:
        given = sys.stdin.read(LONGEST_KEY + 2)
    try:
        return brought_key(given.removesuffix("\n").removesuffix("\r"))
    except InvalidInput as wrong:
        raise ConfigurationError(f"--own-key: {wrong.message}") from wrong
