"""``milepost email``: whether an account's recipients are written to."""

from typing import Annotated

import typer

from milepost.accounts.secret_keys import SecretKeys
from milepost.cli.administer import (
    AccountOption,
    AsJson,
    administer,
    chosen_account,
    print_facts,
    print_json,
)
from milepost.db.pool import Pool, retrying, tenant
from milepost.errors import ConfigurationError, InvalidInput
from milepost.notifications import emails, unsubscribing
from milepost.notifications.emails import PHASES, Emails
from milepost.notifications.mail_address import mail_address
from milepost.settings import load

ACTOR = "cli"
email_commands = typer.Typer(no_args_is_help=True, help="E-mails to an account's recipients.")


def add_to(app: typer.Typer) -> None:
    """Make ``email`` a command of ``app``."""
    app.add_typer(email_commands, name="email")


@email_commands.command()
def show(account: AccountOption = "", as_json: AsJson = False) -> None:
    """Show what recipients are written to about."""

    async def work(pool: Pool, _keys: SecretKeys) -> Emails | None:
        account_id = (await chosen_account(pool, account)).account_id

        async def once() -> Emails | None:
            async with tenant(pool, account_id) as conn:
                return await emails.found(conn, account_id)

        return await retrying(once)

    _print(administer(work), as_json)


@email_commands.command("set")
def set_(
    phase: Annotated[list[str], typer.Option(help=f"Write about it: {', '.join(PHASES)}.")],
    sender_name: Annotated[str, typer.Option(help="The shop; else the account's name.")] = "",
    reply_to: Annotated[str, typer.Option(help="Where answers go.")] = "",
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Write to recipients about these phases from now on, and no others."""
    if load().smtp_url is None:
        raise ConfigurationError("no mail server is set: MILEPOST_SMTP_URL")
    try:
        choice = emails.choice_of(phase, sender_name, reply_to)
    except InvalidInput as wrong:
        name = str(wrong.field[1]).replace("_", "-").replace("phases", "phase")
        raise ConfigurationError(f"--{name}: {wrong.message}") from wrong

    async def work(pool: Pool, _keys: SecretKeys) -> Emails:
        account_id = (await chosen_account(pool, account)).account_id

        async def once() -> Emails:
            async with tenant(pool, account_id) as conn:
                return await emails.choose(conn, account_id, choice, ACTOR)

        return await retrying(once)

    _print(administer(work), as_json)


@email_commands.command()
def off(account: AccountOption = "", as_json: AsJson = False) -> None:
    """Write to nobody any more; letters on their way are given up."""

    async def work(pool: Pool, _keys: SecretKeys) -> Emails | None:
        account_id = (await chosen_account(pool, account)).account_id

        async def once() -> Emails | None:
            async with tenant(pool, account_id) as conn:
                await emails.end(conn, account_id, ACTOR)
                return await emails.found(conn, account_id)

        return await retrying(once)

    _print(administer(work), as_json)


@email_commands.command()
def resubscribe(
    address: Annotated[str, typer.Argument(help="Whose recipient has asked for e-mails again.")],
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """Write to a recipient again who had unsubscribed. Only where he or she has asked for it."""
    read = mail_address(address)
    if read is None:
        raise ConfigurationError("that is no e-mail address")

    async def work(pool: Pool, keys: SecretKeys) -> bool:
        account_id = (await chosen_account(pool, account)).account_id

        async def once() -> bool:
            async with tenant(pool, account_id) as conn:
                return await unsubscribing.lift(conn, keys, account_id, read, ACTOR)

        return await retrying(once)

    lifted = administer(work)
    if as_json:
        print_json({"lifted": lifted})
    else:
        typer.echo("written to again" if lifted else "this address had not unsubscribed")


def _print(there: Emails | None, as_json: bool) -> None:
    facts: dict[str, object] = {"is_active": there is not None and there.is_active}
    if there is not None:
        facts |= {
            "connection_id": there.connection_id,
            "phases": list(there.choice.phases),
            "sender_name": there.choice.sender_name,
            "reply_to": there.choice.reply_to,
            "state": there.state,
            "reason": there.reason,
        }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts | {"phases": ", ".join(there.choice.phases) if there else ""})
