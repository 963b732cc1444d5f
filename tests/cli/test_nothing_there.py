"""Commands that find no Milepost say so and make none: the place may be mistyped."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import execute, with_database

from milepost import settings
from milepost.cli.doctor import examine
from milepost.db.cluster import has_database
from milepost.errors import ConfigurationError

COMMANDS = [
    ("account", "list"),
    ("key", "create"),
    ("track", "3SABCD1"),
    ("parcels", "list"),
    ("export",),
    ("erase", "--parcel", "1", "--yes"),
    ("sandbox", "advance", "--days", "1"),
    ("carrier", "state"),
    ("db", "retention"),
    ("db", "upgrade", "--dry-run"),
]


def typed(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "MILEPOST_" not in name}
    return subprocess.run(
        [sys.executable, "-m", "milepost.cli.main", *words],
        env=clean | variables,
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_mistyped_state_directory_stays_as_it_is(words: tuple[str, ...], tmp_path: Path) -> None:
    missing = tmp_path / "mistyped"
    done = typed(*words, MILEPOST_STATE_DIR=str(missing))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"milepost: there is no Milepost in {missing}: ")
    assert len(done.stderr.splitlines()) == 1
    assert not missing.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
@pytest.mark.parametrize("work", [has_database, lambda _: asyncio.run(examine())])
def test_who_may_not_look_is_told_whom_to_be(
    work: Callable[[Path], object], state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILEPOST_STATE_DIR", str(state_dir))
    settings.load.cache_clear()
    (state_dir / "postgresql").mkdir(parents=True)
    state_dir.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(ConfigurationError, match="run this as the user that Milepost runs as"):
            work(state_dir)
    finally:
        os.seteuid(0)
        settings.load.cache_clear()


def test_the_first_account_may_come_before_the_first_start(state_dir: Path) -> None:
    assert typed("account", "list", MILEPOST_STATE_DIR=str(state_dir)).returncode == 1
    done = typed("account", "create", "shop", MILEPOST_STATE_DIR=str(state_dir))
    assert done.returncode == 0, done.stderr
    assert has_database(state_dir)
    listed = typed("account", "list", MILEPOST_STATE_DIR=str(state_dir))
    assert "shop" in listed.stdout, listed.stderr


async def test_anothers_database_gets_no_tables(postgres: str, tmp_path: Path) -> None:
    await execute(postgres, "CREATE DATABASE somebody_elses")
    dsn = with_database(postgres, "somebody_elses")
    variables = {"MILEPOST_DATABASE_URL": dsn, "MILEPOST_SECRET_KEY": "k" * 32}
    done = typed("account", "list", **variables)
    assert done.returncode == 1
    assert done.stderr.startswith("milepost: there is no Milepost in this database: ")
    # CREATE TABLE of ours would have to be dropped for this to work.
    await execute(dsn, "CREATE TABLE account ()")
    await execute(postgres, "DROP DATABASE somebody_elses")
