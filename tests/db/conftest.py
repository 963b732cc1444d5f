"""Clusters to break, one copy per test."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.db.clusters import UserOf
from tests.ready_cluster import make_state_dir

from milepost.db.embedded import EmbeddedPostgres
from milepost.settings import Settings


@pytest.fixture(scope="session")
def seed() -> Iterator[Path]:
    """A state directory with an initialised, stopped cluster."""
    made = make_state_dir()
    server = EmbeddedPostgres(Settings(state_dir=made))
    server.start()
    server.stop()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def used_dir(seed: Path, state_dir: Path) -> Path:
    """A copy of it for one test."""
    subprocess.run(["cp", "-a", f"{seed}/.", str(state_dir)], check=True)
    return state_dir


@pytest.fixture
def user_of() -> Iterator[UserOf]:
    """Makes users of a state directory; all of them leave at the end."""
    users = []

    def make(state_dir: Path) -> EmbeddedPostgres:
        users.append(EmbeddedPostgres(Settings(state_dir=state_dir)))
        return users[-1]

    yield make
    for user in users:
        user.stop()
