"""The API's server as a child process: ``python -m milepost.cli.api_process PARENT``.

Granian's main process is our child, the processes that answer are its children; each watches
its own parent, so that a killed one takes nobody along and leaves nobody behind.
"""

import multiprocessing
import os
import signal
import sys
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer, MTServer
from granian.server import Server as Granian

from milepost import observe, tracing
from milepost.cli.processes import collect_rarely, drain_when_orphaned, run_child
from milepost.settings import Settings, hand_on, load

# A request may take 15 s after its body; who hangs for longer is killed.
DRAIN_SECONDS = 20


def serve(settings: Settings) -> None:
    """Serves until SIGTERM, then answers what it has in hand."""
    # It hands its processes a name to import and no arguments: they read the environment.
    hand_on(settings)
    os.register_at_fork(after_in_child=_end_on_sigterm)
    server("milepost.cli.api_process:application", settings).serve()


def server(application_factory: str, settings: Settings) -> MPServer | MTServer:
    """The HTTP server with all its settings; the benchmarks put a bare app behind it."""
    tls: dict[str, Any] = {}
    if settings.tls_cert is not None:
        tls = {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key}
    return Granian(
        application_factory,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=settings.api_processes,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=round(settings.header_seconds * 1000)),
        websockets=False,
        ssl_protocol_min=SSLProtocols.tls12,
        # Off by default: one killed process would then end the server.
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN_SECONDS,
        log_level=LogLevels.warning,
        # Its loggers hand on to ours.
        log_dictconfig={"handlers": {}, "loggers": {}},
        **tls,
    )


def _end_on_sigterm() -> None:
    """Until it serves, a process has nothing in hand; the handler it was forked with ignores it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def application() -> Any:
    """What Granian's processes import and call."""
    # Here, for only they need the API's modules.
    from milepost.api.app import create_app

    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        drain_when_orphaned(parent.pid)
    chosen = load()
    observe.configure("api", level=chosen.log_level)
    tracing.start("api", chosen)
    made = create_app()
    collect_rarely()
    return made


if __name__ == "__main__":
    sys.exit(run_child("api", serve))
