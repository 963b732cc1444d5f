"""Every command is found in the module that is imported for it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import typer.main

from milepost.cli.main import ROOM_OF, build


def commands(app: typer.Typer) -> set[str]:
    group = typer.main.get_command(app)
    return set(getattr(group, "commands", {}))


def test_the_map_of_commands_is_complete() -> None:
    assert commands(build()) == set(ROOM_OF)


def test_one_command_is_found_with_its_module_alone() -> None:
    for name in ROOM_OF:
        assert name in commands(build(name)), name


def test_what_a_command_prints_it_can_print_as_json() -> None:
    def walk(command: Any, words: tuple[str, ...]) -> Iterator[str]:
        for name, one in getattr(command, "commands", {}).items():
            yield from walk(one, (*words, name))
        if not hasattr(command, "commands") and not any("--json" in p.opts for p in command.params):
            yield " ".join(words)

    # An export has forms of its own, and dismissing prints nothing.
    told = set(walk(typer.main.get_command(build()), ()))
    assert told == {"export", "mapping dismiss"}


def typed(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "MILEPOST_" not in name}
    command = [sys.executable, "-m", "milepost.cli.main", *words]
    return subprocess.run(
        command, env=clean | variables, capture_output=True, text=True, check=True, timeout=180
    )


def test_a_mistyped_setting_is_said_at_the_start() -> None:
    done = typed("carrier", "list", "--json", MILEPOST_STATE_DRI="hunter2")
    assert json.loads(done.stdout)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["level"], line["process"]) == (
        "unknown setting",
        "warning",
        "command",
    )
    assert line["reason"] == "MILEPOST_STATE_DRI is no setting; MILEPOST_STATE_DIR is one"
    assert typed("carrier", "list", "--json").stderr == ""


def test_a_command_that_can_not_log_imports_no_logging() -> None:
    modules = "import sys; from milepost.cli.main import build; build('schema')"
    done = subprocess.run(
        [sys.executable, "-c", f"{modules}; print('structlog' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


LOGGING = """
import sys, structlog
from milepost.cli import main
build = main.build
def with_a_talker(command):
    app = build("account")
    app.command("talk")(lambda: structlog.get_logger().warning("said", account_id=7))
    return app
main.build = with_a_talker
sys.argv = ["milepost", "talk"]
main.main()
"""


def test_what_is_logged_is_no_output() -> None:
    """Whoever reads a command's output reads only that."""
    clean = {name: value for name, value in os.environ.items() if "MILEPOST_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", LOGGING],
        env=clean,
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
    )
    assert done.stdout == ""
    assert json.loads(done.stderr)["event"] == "said"
