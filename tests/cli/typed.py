"""Commands as an operator types them, in this process or in one of their own that may be killed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from milepost import settings as settings_module

KEY = "k" * 32


@dataclass(frozen=True, slots=True)
class Terminal:
    """One database and the commands of some modules."""

    variables: Mapping[str, str]
    app: typer.Typer

    async def result(self, *words: str, typed: bytes = b"") -> Result:
        def command() -> Result:
            return CliRunner().invoke(self.app, list(words), input=typed, catch_exceptions=False)

        return await asyncio.to_thread(command)

    async def told(self, *words: str, typed: bytes = b"", code: int = 0) -> Any:
        """The JSON a command printed."""
        result = await self.result(*words, "--json", typed=typed)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    async def process(self, *words: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "milepost.cli.main", *words]
        environment = os.environ | dict(self.variables) | more
        return await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, check=False
        )


def terminal(
    monkeypatch: pytest.MonkeyPatch, dsn: str, folder: Path, modules: Sequence[ModuleType]
) -> Terminal:
    """A terminal on ``dsn``."""
    variables = {
        "MILEPOST_DATABASE_URL": dsn,
        "MILEPOST_SECRET_KEY": KEY,
        "MILEPOST_STATE_DIR": str(folder),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings_module.load.cache_clear()
    app = typer.Typer()
    # Without it Typer makes an application of one command swallow the command's name.
    app.callback()(lambda: None)
    for module in modules:
        module.add_to(app)
    return Terminal(variables, app)
