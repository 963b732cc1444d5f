"""``milepost``: all commands, and one line for what only the operator can change."""

import sys
from importlib import import_module

import typer
from pydantic import ValidationError

from milepost.errors import ConfigurationError, MilepostError

ROOMS = ("run", "accounts", "keys", "carriers", "parcels", "sandbox", "demo")


def build() -> typer.Typer:
    """The application with the commands of every module."""
    app = typer.Typer(
        name="milepost",
        help="Self-hosted parcel tracking.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for room in ROOMS:
        import_module(f"milepost.cli.{room}").add_to(app)
    return app


def main() -> None:
    """Entry point of the ``milepost`` script."""
    try:
        build()()
    except ValidationError as error:
        fail(explain(error))
    except (ConfigurationError, MilepostError) as error:
        fail(str(error) or error.code)


def fail(line: str) -> None:
    """One line on standard error, exit code 1."""
    sys.stderr.write(f"milepost: {' '.join(line.split())}\n")
    sys.exit(1)


def explain(error: ValidationError) -> str:
    """Which setting is wrong, and why; never its value, which may be a secret."""
    first = error.errors(include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"]).upper()
    return f"MILEPOST_{name}: {first['msg']}"


if __name__ == "__main__":
    main()
