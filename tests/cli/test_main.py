"""Every command is found in the module that is imported for it."""

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
