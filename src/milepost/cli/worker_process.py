"""A worker as a child process: ``python -m milepost.cli.worker_process PARENT``."""

import asyncio
import signal
import sys

import uvloop

from milepost import tracing
from milepost.cli.processes import collect_rarely, open_many_files, run_child
from milepost.settings import Settings
from milepost.worker.main import run_worker


def work(settings: Settings) -> None:
    """Works until SIGTERM, then finishes what it has in hand."""

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tracing.start("worker", settings)
        try:
            await run_worker(settings, stop)
        finally:
            tracing.stop()

    collect_rarely()
    open_many_files()
    uvloop.run(until_stopped())


if __name__ == "__main__":
    sys.exit(run_child("worker", work))
