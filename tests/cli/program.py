"""The whole program as an operator starts it: its processes, and what each of them writes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from bench.ports import free_port
from tests.live_server import STOP_SECONDS, inherited


class Program:
    """A ``milepost`` command under test, with its processes."""

    def __init__(self, state_dir: Path, command: str, **variables: str) -> None:
        self.environment = inherited() | {
            "MILEPOST_STATE_DIR": str(state_dir),
            "MILEPOST_PORT": str(free_port()),
            **{f"MILEPOST_{name.upper()}": value for name, value in variables.items()},
        }
        self.state_dir = state_dir
        # No pipe: nobody would read it meanwhile, and who writes to a full one stands still.
        self.complaining = tempfile.TemporaryFile()  # noqa: SIM115 closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "milepost.cli.main", *command.split()],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.complaining,
            text=True,
        )
        self.seen: set[psutil.Process] = set()

    def wait_ready(self) -> str:
        """Its URL."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.complaints())
        url: str = json.loads(line)["url"]
        self.look()
        return url

    def complaints(self) -> str:
        """What it wrote to standard error until now; the place where it writes on is not moved."""
        written = self.complaining.fileno()
        return os.pread(written, os.fstat(written).st_size, 0).decode()

    def look(self) -> list[psutil.Process]:
        """All its processes now; remembered for ``left``."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        self.seen.update(found)
        return found

    def find(self, what: str) -> list[psutil.Process]:
        """Those whose command names ``what``, the oldest first."""
        found = [process for process in self.look() if what in command_of(process)]
        return sorted(found, key=lambda process: process.create_time())

    def left(self) -> list[psutil.Process]:
        """What still lives of all we ever saw."""
        return [one for one in self.seen if command_of(one)]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Asks it to stop; its exit code."""
        self.look()
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


def command_of(process: psutil.Process) -> str:
    """Its command line; empty once it has ended, reaped or not."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def started(state_dir: Path, command: str = "api --json", **variables: str) -> Iterator[Program]:
    program = Program(state_dir, command, **variables)
    with program.complaining, program.process:
        try:
            yield program
        finally:
            if program.process.poll() is None:
                program.stop()
