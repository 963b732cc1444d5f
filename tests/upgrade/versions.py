"""Two versions of Milepost on one database: the commit that BASE names, and this one."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from bench.ports import free_port
from tests.live_server import STOP_SECONDS, Client, wait_until_ready

ROOT = Path(__file__).parents[2]
BASE = Path(__file__).with_name("BASE")


def base_source(target: Path) -> Path:
    """The source of the version upgrades start from, out of our own history.

    Skips, by name, where there is no history to take it from; in CI that is a failure.
    """
    commit = BASE.read_text().strip()
    command = ["git", "-C", str(ROOT), "archive", commit, "src"]
    try:
        archive = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no history with the version before ({commit[:7]}): {type(error).__name__}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(target, filter="data")
    return target / "src"


@dataclass(frozen=True, slots=True)
class Version:
    """A version's source, run on one database."""

    name: str
    source: Path
    dsn: str
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, port: int, more: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if "MILEPOST" not in name}
        ours = {
            "PYTHONPATH": str(self.source),
            "MILEPOST_DATABASE_URL": self.dsn,
            "MILEPOST_SECRET_KEY": "the-key-of-an-upgrade-long-enough-for-it",
            "MILEPOST_STATE_DIR": str(self.folder),
            "MILEPOST_PORT": str(port),
        }
        return inherited | ours | dict(self.variables) | dict(more)

    def spawn(self, *words: str, port: int = 0, **more: str) -> subprocess.Popen[bytes]:
        """A command of this version."""
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "milepost.cli.main", *words],
                env=self.environment(port, more),
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def command(self, *words: str) -> Any:
        """What a command prints with --json."""
        done = subprocess.run(
            [sys.executable, "-m", "milepost.cli.main", *words, "--json"],
            env=self.environment(0, {}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def account(self, name: str) -> str:
        """``user:password`` of a new account."""
        made = self.command("account", "create", name)
        return f"{made['public_key']}:{made['secret_key']}"

    @contextmanager
    def serving(self, command: str) -> Iterator[Client]:
        """API and worker (``run``), or the API alone, until the block ends."""
        port = free_port()
        process = self.spawn(command, port=port)
        try:
            wait_until_ready(process, port, self.log)
            yield Client(port)
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)

    def loaded_from(self) -> str:
        """Where its processes import Milepost from."""
        code = "import milepost; print(milepost.__file__)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=self.environment(0, {}), cwd=self.folder, stdout=-1)
        return done.stdout.decode().strip()
