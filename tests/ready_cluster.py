"""A migrated cluster, made once a run and copied by whoever needs one of its own.

``initdb`` and all migrations take seconds of reckoning, a copy takes none to speak of. That both
work from nothing is tried where it is the point: ``tests/db``, ``tests/cli``, ``tests/upgrade``.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.settings import Settings

VARIABLE = "MILEPOST_TEST_CLUSTER"
"""Names the folder that all processes of a run share."""


def make_state_dir() -> Path:
    """In memory where the machine has that; enterable by PostgreSQL's user when we are root."""
    memory = Path("/dev/shm")
    base = memory if os.access(memory, os.W_OK) else None
    made = Path(tempfile.mkdtemp(prefix="milepost-test-", dir=base))
    made.chmod(0o711)
    return made


def make_room(config: pytest.Config) -> None:
    """Where it will be; the processes of xdist and those that tests start find it by its name."""
    if VARIABLE in os.environ:
        return
    folder = make_state_dir()
    os.environ[VARIABLE] = str(folder)
    # A run that is killed leaves nothing in the machine's memory.
    clean_up = 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; rm -rf "$2"'
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", clean_up, "sh", str(os.getpid()), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def forget() -> None:
        watcher.kill()
        watcher.wait()
        os.environ.pop(VARIABLE, None)
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(forget)


def lay_cluster(state_dir: Path) -> None:
    """Copies it into a state directory that has no database yet. Blocks; call from a thread."""
    made = _made(Path(os.environ[VARIABLE]))
    # Where PostgreSQL's user can't go the data is elsewhere, and a copy would share it.
    if not (made / "postgresql" / "data.location").exists():
        subprocess.run(["cp", "-a", str(made / "postgresql"), str(state_dir)], check=True)


def _made(folder: Path) -> Path:
    made, unfinished = folder / "made", folder / "unfinished"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            server = EmbeddedPostgres(Settings(state_dir=unfinished))
            try:
                asyncio.run(migrate(server.start()))
            finally:
                server.stop()
            unfinished.rename(made)
    return made
