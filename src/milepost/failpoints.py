"""Named places where a test makes this process die as if by ``kill -9``.

``MILEPOST_FAILPOINT=api.before_commit:3`` kills the process the third time it gets to
``reach("api.before_commit")``, and says so on its standard error. Without that variable ``reach``
does nothing at all.
"""

import os
import signal
import threading


def died_at(name: str) -> str:
    """The last line of a process that dies at ``name``, so that its death is told from others."""
    return f"killed at {name}\n"


def die(name: str) -> None:
    """No clean-up, no flush: what a crash leaves behind is what the tests look at."""
    os.write(2, died_at(name).encode())
    os.kill(os.getpid(), signal.SIGKILL)


class Failpoint:
    """One name, and which pass over it is the last."""

    def __init__(self, wanted: str) -> None:
        self.name, _, nth = wanted.partition(":")
        self._left = int(nth or 1)
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """Counts a pass; the last one does not return."""
        if name != self.name:
            return
        with self._lock:
            self._left -= 1
            last = self._left == 0
        if last:
            die(name)


def _off(name: str) -> None:
    """What ``reach`` is outside such a test."""


_wanted = os.environ.get("MILEPOST_FAILPOINT", "")
reach = Failpoint(_wanted).reach if _wanted else _off
