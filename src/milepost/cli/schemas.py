"""``milepost schema``: the JSON Schemas of what our own API says."""

from typing import Annotated

import typer

from milepost.errors import ConfigurationError
from milepost.wire.own_schemas import COMPONENTS, file_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(schema)


def schema(
    name: Annotated[str, typer.Argument(help="parcel, event, explanation or recognition.")],
    as_json: Annotated[bool, typer.Option("--json", help="It is JSON anyway.")] = False,
) -> None:
    """Print a JSON Schema (draft 2020-12), as the API serves it below /schemas/v1."""
    if name not in COMPONENTS:
        raise ConfigurationError(f"there is no such schema; there are {', '.join(COMPONENTS)}")
    typer.echo(file_of(name), nl=False)
