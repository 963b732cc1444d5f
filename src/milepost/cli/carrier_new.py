"""``milepost carrier new``: the folder of one more carrier."""

from typing import Annotated

import typer

from milepost.carriers.faults import faults_of
from milepost.carriers.new_carrier import Newcomer, write_new
from milepost.cli.administer import AsJson, print_json


def new(
    code: Annotated[str, typer.Argument(help="Its code, which is the folder's name: acme_nl.")],
    country: Annotated[str, typer.Option(help="Where it is at home, two letters.")],
    name: Annotated[str, typer.Option(help="As people call it; the code when left out.")] = "",
    number: Annotated[
        list[str] | None, typer.Option(help="A number of its own; may be given several times.")
    ] = None,
    page: Annotated[str, typer.Option(help="Its page of a parcel, with {n} for the number.")] = "",
    asked: Annotated[
        bool, typer.Option("--asked", help="With a connector to be made its own, and samples.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the folder of a carrier into the catalogue; exit code 1 when it is not right yet."""
    wanted = Newcomer(code, name or code, country, number or (), page, asked)
    carrier, files = write_new(wanted)
    faults = faults_of(carrier)
    if as_json:
        print_json({"carrier": code, "files": [str(path) for path in files], "faults": faults})
    else:
        for line in (*map(str, files), *(f"not right yet: {fault}" for fault in faults)):
            typer.echo(line)
        typer.echo(f"next: docs/add-a-carrier.md, and milepost carrier check {code}")
    if faults:
        raise typer.Exit(1)
