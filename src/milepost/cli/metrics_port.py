"""``/metrics`` on a port of its own, served by the parent for itself and its children."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import asyncpg
import psutil
import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from milepost.carriers.registry import Catalogue
from milepost.checkup.machine import read_disk
from milepost.cli.metrics_files import fold_the_dead, metrics_folder
from milepost.cli.metrics_gauges import Gauges, Look, ProcessState
from milepost.cli.processes import Child
from milepost.db.pool import DRIVER_ERRORS, milliseconds
from milepost.db.vitals import Vitals, read_vitals
from milepost.errors import ConfigurationError
from milepost.monitoring.queues import Queues, read_queues
from milepost.notifications.waiting import Telling, read_telling
from milepost.settings import Settings

DEADLINE_SECONDS = 3.0
"""The whole question to the database; a scrape that gets no answer says so."""
KEPT_SECONDS = 5.0
"""However many ask, the database is asked this often at most."""
ENVIRONMENT = "PROMETHEUS_MULTIPROC_DIR"

log = structlog.get_logger()

Found = tuple[Vitals, Queues, Telling]
"""What the database says."""


@asynccontextmanager
async def metrics_port(
    settings: Settings, dsn: str, children: Sequence[Child]
) -> AsyncIterator[dict[str, str]]:
    """Serves until the end of the block; gives what the children need in their environment.

    ``children`` is looked at with each scrape. Raises ConfigurationError when the port is taken.
    """
    with metrics_folder() as folder:
        scraper = Scraper(settings, dsn, children, folder)
        app = web.Application()
        app.router.add_get("/metrics", scraper.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.metrics_host, settings.metrics_port)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            where = f"{settings.metrics_host}:{settings.metrics_port}"
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(f"can't serve metrics on {where}: {reason}") from error
        try:
            yield {ENVIRONMENT: str(folder)}
        finally:
            await runner.cleanup()
            await scraper.close()


class Scraper:
    """Answers scrapes; those that come together share one."""

    def __init__(
        self, settings: Settings, dsn: str, children: Sequence[Child], folder: Path
    ) -> None:
        self._settings = settings
        self._dsn = dsn
        self._children = children
        self._folder = folder
        self._asked_code = Catalogue.load().asked_code
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._asking: asyncio.Task[Found | None] | None = None
        self._asked_at = 0.0
        # Two at once would fold the same dead process twice.
        self._rendering = asyncio.Lock()

    async def answer(self, _: web.Request) -> web.Response:
        """All metrics in Prometheus' text form."""
        found = await self._database()
        async with self._rendering:
            body = await asyncio.to_thread(self._rendered, found)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def close(self) -> None:
        """Leave the database."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        self._leave()

    async def _database(self) -> Found | None:
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at > KEPT_SECONDS):
            self._asking, self._asked_at = asyncio.create_task(self._ask()), now
        return await asyncio.shield(self._asking)

    async def _ask(self) -> Found | None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                connection = await self._connected()
                vitals = await read_vitals(connection)
                async with connection.transaction(readonly=True):
                    await connection.execute("SET LOCAL ROLE milepost_admin")
                    queues = await read_queues(connection, self._asked_code)
                    return vitals, queues, await read_telling(connection)
        except (*DRIVER_ERRORS, TimeoutError) as error:
            log.warning("metrics of the database could not be read", exc_info=error)
            self._leave()
            return None

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=DEADLINE_SECONDS,
                server_settings={
                    "application_name": "milepost_metrics",
                    "search_path": "public",
                    "jit": "off",
                    "statement_timeout": milliseconds(DEADLINE_SECONDS),
                    "idle_in_transaction_session_timeout": milliseconds(DEADLINE_SECONDS),
                },
            )
        return self._connection

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _rendered(self, found: Found | None) -> bytes:
        fold_the_dead(self._folder)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        vitals, queues, telling = found or (None, None, None)
        disk = read_disk(self._settings.state_dir)
        processes = tuple([state_of(child) for child in list(self._children)])
        look = Look(version("milepost"), processes, disk.free, disk.total, vitals, queues, telling)
        registry.register(Gauges(look))
        return generate_latest(registry)


def state_of(child: Child) -> ProcessState:
    """A child with its own children, as the process table has them."""
    resident, cpu, up = 0, 0.0, False
    try:
        own = psutil.Process(child.pid or -1) if child.pid else None
        for process in [own, *own.children(recursive=True)] if own else []:
            resident += process.memory_info().rss
            times = process.cpu_times()
            cpu += times.user + times.system
            up = True
    except (psutil.Error, ValueError):
        pass
    return ProcessState(child.name, up, child.restarts, resident, cpu)
