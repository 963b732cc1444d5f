"""``milepost carrier credentials``: what we log in to carriers with, sealed and never shown."""

import getpass
import sys
from collections.abc import Mapping
from typing import Annotated

import orjson
import typer

from milepost.accounts.keys import find_account
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.manifest import CredentialField, Manifest
from milepost.carriers.registry import Carrier, Catalogue
from milepost.cli.administer import AsJson, administer, print_facts, print_json
from milepost.db.pool import Pool
from milepost.errors import ConfigurationError

credential_commands = typer.Typer(no_args_is_help=True, help="Logins at carriers.")

LONGEST_INPUT = 64 * 1024
LONGEST_FIELD = 4096
Code = Annotated[str, typer.Argument(help="Carrier code, such as dhl.")]
OfAccount = Annotated[
    str, typer.Option("--account", help="Name or id of the account; for all when left out.")
]


@credential_commands.command("set")
def set_(code: Code, account: OfAccount = "", as_json: AsJson = False) -> None:
    """Keep a login, read from the terminal or from standard input.

    A code that another carrier answers for shares that one's login.
    Standard input holds the one secret, or a JSON object with the login's fields. Without an
    account it serves every account that has none of its own, all sharing one quota. Parcels that
    waited for it are asked about at once.
    """
    carrier = known_carrier(code)
    manifest = carrier.asked.manifest
    if not carrier.can_be_asked:
        raise ConfigurationError(f"Milepost can't ask {manifest.name} yet, so it needs no login")
    if not manifest.credential:
        raise ConfigurationError(f"{manifest.name} is asked without a login")
    fields = fields_from(manifest, None if sys.stdin.isatty() else sys.stdin.read(LONGEST_INPUT))
    _keep(manifest, account, fields, as_json)


@credential_commands.command()
def remove(code: Code, account: OfAccount = "", as_json: AsJson = False) -> None:
    """Remove a login; parcels wait for another, if the carrier needs one."""
    _keep(known_carrier(code).asked.manifest, account, None, as_json)


def known_carrier(code: str) -> Carrier:
    """The carrier, or one line that says how to find the right code."""
    carrier = Catalogue.load().get(code.lower())
    if carrier is None:
        raise ConfigurationError(f"no carrier {code!r} is known: milepost carrier list")
    return carrier


def fields_from(manifest: Manifest, piped: str | None) -> dict[str, str]:
    """A login's fields: asked for at the terminal, or from what was piped in.

    Raises ConfigurationError naming the field that is missing, unknown or odd, never its value.
    """
    if piped is None:
        told = {field.name: _prompt(field) for field in manifest.credential}
    elif piped.lstrip().startswith("{"):
        told = _json_fields(piped)
    else:
        told = {_only_needed(manifest).name: piped.strip()}
    for name, value in told.items():
        if all(name != field.name for field in manifest.credential):
            raise ConfigurationError(f"a login at {manifest.code} has no field {name!r}")
        if len(value) > LONGEST_FIELD or not value.isprintable():
            raise ConfigurationError(f"{name} is too long or has unprintable characters")
    for field in manifest.credential:
        if field.required and not told.get(field.name):
            raise ConfigurationError(f"{field.name} is missing: {field.label}")
    return {name: value for name, value in told.items() if value}


def _keep(
    manifest: Manifest, account: str, fields: Mapping[str, str] | None, as_json: bool
) -> None:
    codes = Catalogue.load().codes_asked_as(manifest.code)

    async def work(pool: Pool, keys: SecretKeys) -> str:
        store = CredentialStore(pool, keys)
        if not account:
            await store.set_for_operator(manifest.code, fields, codes)
            return "every account without its own"
        owner = await find_account(pool, account)
        await store.set_for_account(owner.account_id, manifest.code, fields, codes)
        return owner.name

    facts = {
        "carrier": manifest.code,
        "for": administer(work),
        "login": "removed" if fields is None else "set",
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _prompt(field: CredentialField) -> str:
    ask = getpass.getpass if field.secret else input
    return ask(f"{field.label}: ").strip()


def _json_fields(piped: str) -> dict[str, str]:
    try:
        told = orjson.loads(piped)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError("standard input is not a JSON object") from error
    return {str(name): str(value).strip() for name, value in told.items()}


def _only_needed(manifest: Manifest) -> CredentialField:
    needed = [field for field in manifest.credential if field.required]
    if len(needed) != 1:
        names = ", ".join(field.name for field in manifest.credential)
        raise ConfigurationError(f"give a JSON object with the login's fields: {names}")
    return needed[0]
