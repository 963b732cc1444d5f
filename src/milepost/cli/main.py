"""``milepost``: all commands, and one line for what only the operator can change."""

import sys
from importlib import import_module

import typer
from pydantic import ValidationError

from milepost import settings
from milepost.errors import ConfigurationError, MilepostError

ROOM_OF = {
    "run": "run",
    "api": "run",
    "worker": "run",
    "db": "database",
    "account": "accounts",
    "key": "keys",
    "carrier": "carriers",
    "recognise": "recognising",
    "register": "parcels",
    "track": "parcels",
    "parcels": "parcel_lists",
    "events": "events",
    "mapping": "mappings",
    "import": "imports",
    "feed": "feeding",
    "export": "exports",
    "erase": "erasing",
    "email": "emails",
    "webhook": "webhooks",
    "sandbox": "sandbox",
    "demo": "demo",
    "doctor": "doctor",
    "mcp": "agents",
    "schema": "schemas",
}
"""Which module a command is in."""


def build(command: str = "") -> typer.Typer:
    """The application; with the module of ``command`` alone where that is one.

    Importing every module takes longer than most commands do.
    """
    app = typer.Typer(
        name="milepost",
        help="Self-hosted parcel tracking.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    # Without it Typer makes an application of one command swallow the command's name.
    app.callback()(_prepare)
    rooms = [ROOM_OF[command]] if command in ROOM_OF else list(dict.fromkeys(ROOM_OF.values()))
    for room in rooms:
        import_module(f"milepost.cli.{room}").add_to(app)
    return app


def _prepare() -> None:
    """Self-hosted parcel tracking."""
    unknown = settings.unknown_variables()
    # Whose modules can log has imported the library by now; the others need not pay for it.
    if not unknown and "structlog" not in sys.modules:
        return
    # A server says anew what its process is called.
    import structlog

    from milepost import observe

    observe.configure("command", level=_log_level())
    for name, nearest in unknown.items():
        meant = f"; {nearest} is one" if nearest else ""
        structlog.get_logger().warning("unknown setting", reason=f"{name} is no setting{meant}")


def _log_level() -> str:
    try:
        return settings.load().log_level
    except ValidationError:
        # The command says what is wrong; the doctor says all of it.
        return "info"


def main() -> None:
    """Entry point of the ``milepost`` script."""
    try:
        build(sys.argv[1] if len(sys.argv) > 1 else "")()
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
