"""The running server, as its postmaster.pid and the process table tell it."""

import subprocess
import time
from pathlib import Path

import psutil

from milepost.errors import ServerNotStarted

POLL_SECONDS = 0.02


def postmaster_lines(data: Path) -> list[str]:
    """The lines of postmaster.pid: pid, data, start time, port, socket folder, ..., status."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def running_postmaster(data: Path) -> int | None:
    """The pid of the server on ``data``; None when that is dead, unreaped or another program."""
    lines = postmaster_lines(data)
    if not lines or not lines[0].isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
        # An unreaped one has a name and no command line.
        ours = process.name().startswith("postgres") and str(data) in process.cmdline()
        return process.pid if ours else None
    except psutil.Error:
        return None


def socket_of(data: Path) -> Path:
    """The socket folder of the running server."""
    lines = postmaster_lines(data)
    return Path(lines[4]) if len(lines) > 4 else Path()


def is_stopping(data: Path) -> bool:
    """Whether the server on ``data`` was told to stop."""
    lines = postmaster_lines(data)
    return len(lines) > 7 and lines[7].strip() == "stopping"


def wait_ready(
    data: Path, pid: int, seconds: float, process: "subprocess.Popen[bytes] | None" = None
) -> bool:
    """True once the server takes connections, False if it ended instead."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        lines = postmaster_lines(data)
        if len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready":
            return True
        if process is not None:
            if process.poll() is not None:
                return False
        elif running_postmaster(data) is None:
            return False
        time.sleep(POLL_SECONDS)
    raise ServerNotStarted(f"PostgreSQL is still not ready after {seconds:.0f} s")


def wait_gone(data: Path, seconds: float, process: "subprocess.Popen[bytes] | None") -> None:
    """Waits until no server runs on ``data``, reaping it where it is our child."""
    give_up = time.monotonic() + seconds
    while running_postmaster(data) is not None and time.monotonic() < give_up:
        if process is not None:
            process.poll()
        time.sleep(POLL_SECONDS)
