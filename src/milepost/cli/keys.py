"""``milepost key``: make, list, revoke and set API keys."""

from enum import StrEnum
from typing import Annotated

import typer

from milepost.accounts import keys as accounts
from milepost.accounts.references import account_of
from milepost.accounts.secret_keys import SecretKeys
from milepost.cli.administer import (
    AccountOption,
    AsJson,
    administer,
    chosen_account,
    print_facts,
    print_json,
    print_table,
)
from milepost.db.pool import Pool, retrying, tenant
from milepost.errors import NotFoundError
from milepost.notifications import integrations

key_commands = typer.Typer(no_args_is_help=True, help="API keys of an account.")

IntegrationOption = Annotated[
    int | None,
    typer.Option(
        "--integration", min=0, help="Whose the parcels are that it registers; 0: nobody's."
    ),
]
PublicKey = Annotated[str, typer.Argument(help="The public key (mp_...).")]


class V2Order(StrEnum):
    """Which v2 status comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"


def add_to(app: typer.Typer) -> None:
    """Make ``key`` a command of ``app``."""
    app.add_typer(key_commands, name="key")


@key_commands.command()
def create(
    account: AccountOption = "",
    label: Annotated[str, typer.Option(help="What the key is for.")] = "",
    integration: IntegrationOption = None,
    as_json: AsJson = False,
) -> None:
    """Make another API key of an account; the secret is shown only now."""

    async def work(pool: Pool, keys: SecretKeys) -> accounts.NewKey:
        chosen = await chosen_account(pool, account)
        bound = await _integration(pool, chosen.account_id, integration)
        return await accounts.create_key(pool, keys, chosen.account_id, label, bound)

    new = administer(work)
    facts = {**facts_of(new.key), "secret_key": new.secret_key}
    if as_json:
        print_json(facts)
        return
    print_facts(facts)
    typer.echo("Keep the secret key: it is not stored and can't be shown again.")


@key_commands.command("list")
def list_(account: AccountOption = "", as_json: AsJson = False) -> None:
    """List an account's keys, revoked ones too."""

    async def work(pool: Pool, _keys: SecretKeys) -> list[accounts.ApiKey]:
        chosen = await chosen_account(pool, account)
        return await accounts.list_keys(pool, chosen.account_id)

    rows = [facts_of(key) for key in administer(work)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, "The account has no key.")


@key_commands.command()
def revoke(public_key: PublicKey, as_json: AsJson = False) -> None:
    """End a key and every token issued from it, within a second."""

    async def work(pool: Pool, _keys: SecretKeys) -> accounts.ApiKey:
        return await accounts.revoke_key(pool, public_key)

    show(administer(work), as_json)


@key_commands.command("set")
def set_(
    public_key: PublicKey,
    v2_order: Annotated[V2Order | None, typer.Option(help="Which v2 status comes first.")] = None,
    integration: IntegrationOption = None,
    as_json: AsJson = False,
) -> None:
    """Change how the API answers this key, or whose its parcels are."""
    if v2_order is None and integration is None:
        raise typer.BadParameter("say what to change: --v2-order or --integration")

    async def work(pool: Pool, _keys: SecretKeys) -> accounts.ApiKey:
        if integration is not None:
            account_id = account_of(public_key, "mp")
            bound = await _integration(pool, account_id, integration)
            key = await accounts.set_integration(pool, public_key, bound)
        if v2_order is not None:
            key = await accounts.set_v2_order(pool, public_key, v2_order.value)
        return key

    show(administer(work), as_json)


async def _integration(pool: Pool, account_id: int, wanted: int | None) -> int | None:
    """The integration that a key is to be bound to, if any. Raises NotFoundError."""
    if not wanted:
        return None

    async def ask() -> int:
        async with tenant(pool, account_id) as conn:
            return (await integrations.found(conn, account_id, wanted)).integration_id

    try:
        return await retrying(ask)
    except NotFoundError:
        raise NotFoundError(f"the account has no integration {wanted}") from None


def facts_of(key: accounts.ApiKey) -> dict[str, object]:
    """A key as it is printed."""
    return {
        "account_id": key.account_id,
        "public_key": key.public_key,
        "label": key.label,
        "v2_order": key.v2_order,
        "integration_id": key.integration_id,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def show(key: accounts.ApiKey, as_json: bool) -> None:
    """Print one key."""
    if as_json:
        print_json(facts_of(key))
    else:
        print_facts(facts_of(key))
