"""``milepost run``, ``api`` and ``worker``.

The parent owns processes and nothing else: the embedded PostgreSQL, the API's server, workers. It
restarts who dies and stops them in the order API, workers, PostgreSQL.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated

import structlog
import typer

from milepost import observe, settings
from milepost.carriers.mappings import Mappings
from milepost.carriers.registry import Catalogue
from milepost.cli.addresses import check_door, claim_port, reachable_host, url_of
from milepost.cli.processes import WATCH_SECONDS, Child
from milepost.cli.session import Session, open_session
from milepost.errors import ConfigurationError
from milepost.settings import Settings

API, WORKER = "milepost.cli.api_process", "milepost.cli.worker_process"
# The API drains for up to 20 s, a worker finishes the answers it waits for (20 s at most).
STOP_SECONDS = 25.0
READY_POLL_SECONDS = 0.05

OnReady = Callable[[Session, str], Awaitable[None]]
Address = tuple[str, int]
Environment = dict[str, str]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

log = structlog.get_logger()


def add_to(app: typer.Typer) -> None:
    """Adds the commands that run parts of the program."""
    app.command("run")(run)
    app.command("api")(api)
    app.command("worker")(worker)


def run(as_json: AsJson = False) -> None:
    """Run everything: PostgreSQL where none is given, the API, a worker. Ctrl-C stops it all."""
    run_processes(settings.load(), api=True, worker=True, on_ready=announcement(as_json))


def api(as_json: AsJson = False) -> None:
    """Run the API alone."""
    run_processes(settings.load(), api=True, worker=False, on_ready=announcement(as_json))


def worker(as_json: AsJson = False) -> None:
    """Run workers alone."""
    run_processes(settings.load(), api=False, worker=True, on_ready=announcement(as_json))


def announcement(as_json: bool) -> OnReady:
    """Says where we listen, on standard output."""

    async def announce(_: Session, url: str) -> None:
        text = f"Milepost listens on {url}" if url else "Milepost works"
        typer.echo(json.dumps({"url": url, "pid": os.getpid()}) if as_json else text)

    return announce


def run_processes(wanted: Settings, *, api: bool, worker: bool, on_ready: OnReady) -> None:
    """Runs the parts until SIGTERM, SIGINT or SIGHUP; returns when all of them have stopped.

    ``on_ready`` is awaited beside them once the API takes connections; its URL is "" without API.
    Raises ConfigurationError where the start is not possible.
    """
    observe.configure("parent", level=wanted.log_level)
    if wanted.mappings is not None:
        # What is wrong with it is said here in a line, and not by every child again and again.
        Mappings.load(wanted.mappings, Catalogue.load())
    asyncio.run(_run(wanted, api=api, worker=worker, on_ready=on_ready))


async def _run(wanted: Settings, *, api: bool, worker: bool, on_ready: OnReady) -> None:
    stop = asyncio.Event()
    children: list[Child] = []
    _heed_signals(stop, children)
    door: socket.socket | None = None
    if api:
        check_door(wanted)
        door = claim_port(wanted)
    with door or contextlib.nullcontext():
        async with open_session(wanted, make=True) as session:
            if stop.is_set():
                return
            address = None
            if door is not None:
                address = door.getsockname()[:2]
                door.close()
            async with _instruments(session, children) as counting:
                children += _children(wanted, address, counting, worker=worker)
                await _supervise(session, children, address, stop, on_ready)


def _heed_signals(stop: asyncio.Event, children: list[Child]) -> None:
    """The first signal stops in order, the second one at once."""

    def heed() -> None:
        if stop.is_set():
            for child in children:
                child.kill()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, heed)


@contextlib.asynccontextmanager
async def _instruments(session: Session, children: Sequence[Child]) -> AsyncIterator[Environment]:
    """Serves metrics where a port is set; gives what has children count for them."""
    if not session.settings.metrics_port:
        yield {}
        return
    # Its server takes a third of a second to import, and most commands serve none.
    from milepost.cli.metrics_port import metrics_port

    async with metrics_port(session.settings, session.dsn, children) as counting:
        yield counting


def _children(
    wanted: Settings, address: Address | None, counting: Environment, *, worker: bool
) -> list[Child]:
    environment = settings.environment_for(wanted) | counting
    made = []
    if address is not None:
        # Resolved: the server takes no names, and port 0 has become a real one.
        bound = {"MILEPOST_HOST": address[0], "MILEPOST_PORT": str(address[1])}
        made.append(Child("api", API, environment | bound))
    if worker:
        names = [f"worker-{number + 1}" for number in range(wanted.worker_processes)]
        made += [Child(name, WORKER, environment) for name in names]
    return made


async def _supervise(
    session: Session,
    children: list[Child],
    address: Address | None,
    stop: asyncio.Event,
    on_ready: OnReady,
) -> None:
    """Keeps the children and the database alive until ``stop``, then stops them in order."""
    misconfigured: list[str] = []

    def give_up(name: str) -> None:
        misconfigured.append(name)
        stop.set()

    keeping = [
        asyncio.create_task(child.keep(lambda name=child.name: give_up(name)))  # type: ignore[misc]
        for child in children
    ]
    beside = [
        asyncio.create_task(_watch_database(session)),
        asyncio.create_task(_tell_ready(session, address, on_ready)),
    ]
    for task in beside:
        task.add_done_callback(lambda ended: stop.set() if failure(ended) else None)
    try:
        await stop.wait()
    finally:
        for task in beside:
            task.cancel()
        for child in children:
            await child.stop(STOP_SECONDS)
        await asyncio.gather(*keeping, *beside, return_exceptions=True)
    if misconfigured:
        raise ConfigurationError(f"the {misconfigured[0]} process could not start")
    for reason in filter(None, map(failure, beside)):
        raise reason


def failure(task: "asyncio.Task[None]") -> BaseException | None:
    """Why it ended, unless that was its end or a cancellation."""
    return None if task.cancelled() else task.exception()


async def _watch_database(session: Session) -> None:
    """Restarts the embedded server when it died; its users wait for it with 503 meanwhile."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            if await asyncio.to_thread(session.watch):
                log.warning("the database had died and was started again")
        except (ConfigurationError, OSError) as error:
            log.error("the database can't be started", error=str(error))


async def _tell_ready(session: Session, address: Address | None, on_ready: OnReady) -> None:
    if address is None:
        return await on_ready(session, "")
    host, port = address
    while True:
        try:
            _, writer = await asyncio.open_connection(reachable_host(host), port)
        except OSError:
            await asyncio.sleep(READY_POLL_SECONDS)
        else:
            writer.close()
            return await on_ready(session, url_of(session.settings, port))
