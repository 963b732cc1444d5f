"""``milepost carrier push``: the addresses that carriers push to, and what could not be told on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from milepost.accounts.secret_keys import SecretKeys
from milepost.carriers.pushed_samples import push_cases, read_push_case, rewrite_push
from milepost.carriers.registry import Carrier, Catalogue
from milepost.carriers.rsa_signature import LONGEST
from milepost.cli.administer import (
    AccountOption,
    AsJson,
    administer,
    chosen_account,
    print_facts,
    print_json,
    print_table,
)
from milepost.cli.imports import opened
from milepost.db.pool import Pool
from milepost.intake import addresses, inbox
from milepost.settings import load

push_commands = typer.Typer(no_args_is_help=True, help="Addresses that carriers push to.")

MOST_SHOWN = 50
AnyCode = Annotated[str, typer.Argument(help="Carrier code; it need not be in the catalogue.")]


class Proof(StrEnum):
    """How a carrier shows that it is the carrier."""

    HMAC = "hmac"
    RSA = "rsa"
    BASIC = "basic"
    HEADER = "header"
    ADDRESS = "address"


class FormOption(StrEnum):
    """Whose form payloads have."""

    CARRIER = "carrier"
    MILEPOST = "milepost"


@push_commands.command()
def add(
    code: AnyCode,
    account: AccountOption = "",
    proof: Annotated[
        Proof | None, typer.Option(help="How it shows itself; the best it can when left out.")
    ] = None,
    form: Annotated[
        FormOption | None,
        typer.Option(help="Whose form it pushes in; the carrier's where it is known."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="The carrier's certificate (PEM), for rsa.")
    ] = None,
    label: Annotated[str, typer.Option(help="What the address is for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make an address for a carrier's pushes; its secrets are shown only now."""
    pem = _read(certificate) if certificate else ""

    async def work(pool: Pool, keys: SecretKeys) -> addresses.NewAddress:
        chosen = await chosen_account(pool, account)
        return await addresses.add(
            pool,
            keys,
            Catalogue.load(),
            chosen.account_id,
            code,
            proof.value if proof else "",
            label,
            form.value if form else None,
            pem,
        )

    new = administer(work)
    base = (load().public_url or "").rstrip("/")
    facts = {**facts_of(new.address), "address": base + new.path, **new.given}
    if as_json:
        print_json(facts)
        return
    print_facts(facts)
    typer.echo("Give the carrier the address, and what stands below it. It can't be shown again.")


@push_commands.command("list")
def list_(code: AnyCode, account: AccountOption = "", as_json: AsJson = False) -> None:
    """List the addresses of a carrier, revoked ones too."""

    async def work(pool: Pool, _keys: SecretKeys) -> list[addresses.Address]:
        chosen = await chosen_account(pool, account)
        return await addresses.every(pool, chosen.account_id, code.lower())

    rows = [facts_of(one) for one in administer(work)]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, f"{code} has no address to push to.")


@push_commands.command()
def remove(
    code: AnyCode,
    address: Annotated[int, typer.Argument(help="The id that the list shows.")],
    account: AccountOption = "",
    as_json: AsJson = False,
) -> None:
    """End an address, within a second; what came through it is still told."""

    async def work(pool: Pool, _keys: SecretKeys) -> addresses.Address:
        chosen = await chosen_account(pool, account)
        return await addresses.revoke(pool, chosen.account_id, code.lower(), address)

    facts = facts_of(administer(work))
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


@push_commands.command()
def kept(
    code: AnyCode,
    account: AccountOption = "",
    again: Annotated[bool, typer.Option("--again", help="Try all of it once more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a carrier told and nobody could tell on: of numbers that are not ours, unreadable.

    With --json its whole text, personal data included.
    """

    async def work(pool: Pool, _keys: SecretKeys) -> list[inbox.Kept]:
        account_id = (await chosen_account(pool, account)).account_id
        if again:
            await inbox.try_again(pool, account_id, code.lower())
        return await inbox.kept(pool, account_id, code.lower(), MOST_SHOWN)

    found = administer(work)
    if as_json:
        texts = [one.payload.decode("utf-8", "replace") for one in found]
        rows = [_row(one) | {"text": text} for one, text in zip(found, texts, strict=True)]
        print_json(rows)
    else:
        print_table([_row(one) for one in found], "Everything was told.")


def facts_of(address: addresses.Address) -> dict[str, object]:
    """An address as it is printed."""
    return {
        "id": address.address_id,
        "carrier": address.carrier_code,
        "form": address.form,
        "begins": address.hint,
        "label": address.label,
        "proof": address.proof,
        "created_at": address.created_at,
        "revoked_at": address.revoked_at,
        "last_pushed_at": address.last_pushed_at,
    }


def checks_of_pushes(carrier: Carrier, rewriting: bool) -> list[dict[str, str]]:
    """What was checked of a carrier's pushes and how it went."""
    rows = []
    for case in push_cases(carrier):
        told = read_push_case(carrier, case)
        result = "right" if told == case.expected else "WRONG"
        if rewriting and told != case.expected:
            rewrite_push(case, told)
            result = "rewritten"
        rows.append({"carrier": carrier.manifest.code, "checked": case.name, "result": result})
    return rows


def _read(path: Path) -> str:
    with opened(str(path)) as file:
        return file.read(LONGEST + 1).decode("ascii", "replace")


def _row(one: inbox.Kept) -> dict[str, object]:
    return {
        "id": one.push_id,
        "came": one.received_at,
        "by": one.source,
        "state": one.state,
        "why": one.reason,
        "numbers": " ".join(one.numbers),
        "tries": one.tries,
        "next": one.due_at,
    }
