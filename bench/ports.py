"""Ports for servers that are told theirs before they listen.

The system hands out the ports of its own range to whoever connects to something, at any moment: a
port of it that was free a second ago may be a client's now. These lie below that range, and a
counter that all processes of a machine share gives each of them away once in twenty thousand.
"""

import fcntl
import os
import socket
import tempfile
from pathlib import Path

FIRST, COUNT = 11_000, 20_000


def free_port() -> int:
    """A port that nobody listens on, and that no other caller was given lately."""
    counter = Path(tempfile.gettempdir()) / f"milepost-ports-{os.getuid()}"
    counter.touch(0o600)
    with counter.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        last = int(file.read() or FIRST)
        for step in range(1, COUNT + 1):
            port = FIRST + (last - FIRST + step) % COUNT
            if _is_free(port):
                file.seek(0)
                file.truncate()
                file.write(str(port))
                return port
    raise RuntimeError(f"none of {COUNT} ports from {FIRST} on is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a connection of the one before, still closing, is no hindrance.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
