"""``milepost recognise``: whose number this is."""

import asyncio
from typing import Annotated

import typer

from milepost.api.milepost_recognise import country_of, recognition_document
from milepost.carriers.recognise import Recogniser, Recognition
from milepost.carriers.registry import Catalogue
from milepost.cli.administer import AsJson, print_json, print_table
from milepost.cli.parcels import open_desk
from milepost.errors import ConfigurationError


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("recognise")(recognise)


def recognise(
    number: Annotated[str, typer.Argument(help="As typed, scanned or pasted; a link, too.")],
    to_country: Annotated[str, typer.Option("--to", help="Country of the recipient.")] = "",
    from_country: Annotated[str, typer.Option("--from", help="Country of the sender.")] = "",
    account: Annotated[
        str, typer.Option("--account", help="Name or id; its latest parcels weigh, too.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say whose number this is: every candidate, how likely, and why."""
    catalogue = Catalogue.load()
    places = [_country(one) for one in (from_country, to_country)]
    if account:
        told = asyncio.run(_of_account(account, number, *places))
    else:
        told = Recogniser(catalogue).recognise(number, origin=places[0], destination=places[1])
    if as_json:
        print_json(recognition_document(told, catalogue))
        return
    print_table(
        [
            {
                "carrier": one.carrier_code,
                "number": one.number,
                "likely": f"{one.probability:.1%}",
                "check digit": one.check,
                "why": "; ".join(one.reasons),
            }
            for one in told.candidates
        ],
        "No carrier is known to have numbers like this.",
    )
    if told.candidates and told.best is None:
        typer.echo("None of them is clearly ahead: a registration must name the carrier.")


async def _of_account(account: str, number: str, origin: str, destination: str) -> Recognition:
    async with open_desk(account) as desk:
        return await desk.core.recognitions.of(
            desk.account_id, number, origin=origin, destination=destination
        )


def _country(given: str) -> str:
    if given and not country_of(given):
        raise ConfigurationError(f"{given!r} is no country of two letters")
    return country_of(given)
