"""What the tests of the embedded server look at."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil

from milepost.db import cluster
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.postmaster import running_postmaster

UserOf = Callable[[Path], EmbeddedPostgres]


def data_of(state_dir: Path) -> Path:
    return cluster.find_data(state_dir / "postgresql")


def pid_of(state_dir: Path) -> int:
    pid = running_postmaster(data_of(state_dir))
    assert pid is not None
    return pid


def query(dsn: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def kill_now(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    process = psutil.Process(pid)
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


def lives(pid: int) -> bool:
    """A zombie (killed or stopped, not yet reaped by whoever started it) does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
