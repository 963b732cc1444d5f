"""``milepost erase``: parcels, with everything that is kept about them, for good."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from milepost.cli.administer import AccountOption, AsJson, print_json, shown
from milepost.cli.parcels import Desk, open_desk
from milepost.errors import ConfigurationError
from milepost.parcels.erase import Receipt, erase, receipt_of
from milepost.parcels.held import ids_of
from milepost.tracking.telling import storable

ACTOR = "cli"
GREATEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Named:
    """A parcel as it was asked for, and the ids that are meant."""

    name: str
    ids: Sequence[int]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("erase")(erase_parcels)


def erase_parcels(
    numbers: Annotated[
        list[str] | None, typer.Argument(help="Tracking numbers: all parcels that ever had one.")
    ] = None,
    parcel: Annotated[
        list[int] | None, typer.Option(help="A parcel id; repeatable.", min=1, max=GREATEST_ID)
    ] = None,
    from_file: Annotated[
        str, typer.Option("--from", help="A file with a tracking number a line, or -.")
    ] = "",
    account: AccountOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase parcels and print a receipt for each. What is erased can't be brought back.

    The receipt of one that is gone already is given again for its --parcel id; its number is
    not kept.
    """
    if not yes and from_file == "-":
        raise ConfigurationError("a list from standard input needs --yes")
    listed = _lines(from_file) if from_file else ()
    # What a parcel can't be called must not stop the others' erasure, nor be printed as it is.
    named = [storable(number) for number in (*(numbers or ()), *listed)]
    if not named and not parcel:
        raise ConfigurationError("say what to erase: tracking numbers, --parcel or --from")
    receipts, unknown = asyncio.run(_erase(account, named, parcel or [], sure=yes))
    if as_json:
        print_json({"erased": receipts, "unknown": unknown})
    else:
        for receipt in receipts:
            typer.echo(_line(receipt))
        for name in unknown:
            typer.echo(f"no parcel: {name}", err=True)
    if unknown:
        raise typer.Exit(1)


def _lines(path: str) -> list[str]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {type(error).__name__}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


async def _erase(
    account: str, numbers: Sequence[str], parcels: Sequence[int], *, sure: bool
) -> tuple[list[Receipt], list[str]]:
    async with open_desk(account) as desk:
        pool, account_id = desk.core.pool, desk.account_id
        named = [Named(number, await ids_of(pool, account_id, number)) for number in numbers]
        named += [Named(f"parcel {one}", [one]) for one in parcels]
        every = list(dict.fromkeys(one for name in named for one in name.ids))
        if every and not sure:
            # Only who types it may say yes; a question nobody can answer is a no.
            typer.confirm(f"Erase {_parcels(len(every))} for good?", abort=True, err=True)
        found = {one: await _erased(desk, one) for one in every}
    receipts = [receipt for receipt in found.values() if receipt is not None]
    unknown = [name.name for name in named if not any(found.get(one) for one in name.ids)]
    return receipts, unknown


def _parcels(count: int) -> str:
    return f"{count} parcel" if count == 1 else f"{count} parcels"


async def _erased(desk: Desk, parcel_id: int) -> Receipt | None:
    earlier = await receipt_of(desk.core.pool, desk.account_id, parcel_id)
    return earlier or await erase(desk.core.pool, desk.account_id, parcel_id, ACTOR)


def _line(receipt: Receipt) -> str:
    counts = ", ".join(f"{rows} {kind}" for kind, rows in receipt.counts.items() if rows)
    return f"erased parcel {receipt.parcel_id} at {shown(receipt.erased_at)}: {counts}"
