"""``milepost account``: make, list, suspend and limit accounts."""

from typing import Annotated, Any

import typer

from milepost.accounts import keys as accounts
from milepost.accounts.secret_keys import SecretKeys
from milepost.cli.administer import AsJson, administer, print_facts, print_json, print_table
from milepost.db.pool import Pool

account_commands = typer.Typer(no_args_is_help=True, help="Accounts and their rate limits.")

Name = Annotated[str, typer.Argument(help="Name or id of the account.")]


def _limit(what: str) -> Any:
    return typer.Option(min=0, max=accounts.HIGHEST_LIMIT, help=what, show_default=False)


def add_to(app: typer.Typer) -> None:
    """Make ``account`` a command of ``app``."""
    app.add_typer(account_commands, name="account")


@account_commands.command()
def create(
    name: Annotated[str, typer.Argument(help="The new account's name.")], as_json: AsJson = False
) -> None:
    """Make an account and its first API key; the secret is shown only now."""

    async def work(pool: Pool, keys: SecretKeys) -> tuple[accounts.Account, accounts.NewKey]:
        made = await accounts.create_account(pool, name)
        return made, await accounts.create_key(pool, keys, made.account_id)

    account, new = administer(work, make=True)
    facts = {
        "account_id": account.account_id,
        "name": account.name,
        "public_key": new.key.public_key,
        "secret_key": new.secret_key,
    }
    if as_json:
        print_json(facts)
        return
    print_facts(facts)
    typer.echo("Keep the secret key: it is not stored and can't be shown again.")


@account_commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the accounts with their limits."""

    async def work(pool: Pool, _keys: SecretKeys) -> list[accounts.Account]:
        return await accounts.list_accounts(pool)

    rows = [facts_of(account) for account in administer(work)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "There is no account yet.")


@account_commands.command()
def suspend(
    name: Name,
    lift: Annotated[bool, typer.Option("--lift", help="Let the account in again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Refuse every request of an account (403), within a second, until it is lifted.

    Meanwhile its carriers are not asked and its subscribers are not told; what happened is kept for
    them, and both go on within a minute after it is lifted.
    """

    async def work(pool: Pool, _keys: SecretKeys) -> accounts.Account:
        found = await accounts.find_account(pool, name)
        await accounts.set_suspended(pool, found.account_id, not lift)
        return await accounts.find_account(pool, str(found.account_id))

    show(administer(work), as_json)


@account_commands.command()
def limit(
    name: Name,
    reads: Annotated[int | None, _limit("Reads a minute.")] = None,
    writes: Annotated[int | None, _limit("Writes a minute.")] = None,
    burst: Annotated[int | None, _limit("Writes a second.")] = None,
    as_json: AsJson = False,
) -> None:
    """Set an account's rate limits, or show them; 0 is no limit."""

    async def work(pool: Pool, _keys: SecretKeys) -> accounts.Account:
        found = await accounts.find_account(pool, name)
        return await accounts.set_limits(
            pool, found.account_id, reads=reads, writes=writes, burst=burst
        )

    show(administer(work), as_json)


def facts_of(account: accounts.Account) -> dict[str, object]:
    """An account as it is printed."""
    return {
        "account_id": account.account_id,
        "name": account.name,
        "status": account.status,
        "reads_per_minute": account.limits.reads_per_minute,
        "writes_per_minute": account.limits.writes_per_minute,
        "writes_per_second": account.limits.writes_per_second,
        "created_at": account.created_at,
    }


def show(account: accounts.Account, as_json: bool) -> None:
    """Print one account."""
    facts = facts_of(account)
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
