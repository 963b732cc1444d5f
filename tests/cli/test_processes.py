"""Children: kept alive, and stopped whenever that is asked."""

import asyncio
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.ports import free_port
from tests.live_server import environment
from tests.ready_cluster import lay_cluster, make_state_dir

from milepost.cli.processes import (
    EXIT_CONFIGURATION,
    EXIT_UNAVAILABLE,
    Child,
    collecting_rarely,
)
from milepost.db.cluster import find_data


async def test_a_child_told_to_stop_while_it_starts_stops() -> None:
    child = Child("sleeper", "none", dict(os.environ))
    child._command = ["sleep", "60"]
    keeping = asyncio.create_task(child.keep(lambda: None))
    await asyncio.sleep(0)
    await child.stop(5)
    async with asyncio.timeout(60):
        await keeping


@pytest.mark.parametrize(("codes", "is_given_up"), [((78, 0), True), ((1, 78, 0), False)])
async def test_who_lived_once_with_its_settings_is_not_given_up_for_them(
    tmp_path: Path, codes: tuple[int, ...], is_given_up: bool
) -> None:
    child = Child("complaining", "none", dict(os.environ))
    says = " ".join(map(str, codes))
    child._command = [
        "sh",
        "-c",
        f"echo >> {tmp_path}/lives; n=$(wc -l < {tmp_path}/lives);"
        f" set -- {says}; shift $((n - 1)); [ $1 = 0 ] && exec sleep 600; exit $1",
    ]
    given_up: list[bool] = []
    keeping = asyncio.create_task(child.keep(lambda: given_up.append(True)))
    async with asyncio.timeout(60):
        while not given_up and child.restarts < len(codes) - 1:
            await asyncio.sleep(0.05)
        await child.stop(5)
        await keeping
    assert bool(given_up) == is_given_up


@pytest.fixture
def state_dir() -> Iterator[Path]:
    made = make_state_dir()
    lay_cluster(made)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize("child", ["api_process", "worker_process"])
def test_a_database_that_is_down_now_is_nothing_for_the_operator(
    state_dir: Path, child: str
) -> None:
    """It is ended while a child starts it, with everything else of an installation running."""
    data = find_data(state_dir / "postgresql")
    with (data / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = banana\n")
    assert ended(state_dir, child) == (EXIT_UNAVAILABLE, True)
    (data / "PG_VERSION").write_text("9\n")
    assert ended(state_dir, child) == (EXIT_CONFIGURATION, True)


def test_an_import_is_spared_the_collector_and_what_follows_it_is_not() -> None:
    before = gc.get_threshold()
    with collecting_rarely():
        assert gc.get_threshold()[0] > before[0]
        assert gc.get_freeze_count() > 10_000, "what was imported is not walked again"
    assert gc.get_threshold() == before


def ended(state_dir: Path, child: str) -> tuple[int, bool]:
    """With which code it does, and whether it says why in a line."""
    done = subprocess.run(
        [sys.executable, "-m", f"milepost.cli.{child}", str(os.getpid())],
        env=environment(state_dir, free_port()),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    return done.returncode, done.stderr.count("\n") == 1 and "PostgreSQL" in done.stderr
