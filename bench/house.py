"""What is measured: a PostgreSQL with fsync on a real disk, databases, accounts and servers."""

import asyncio
import base64
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from pydantic import SecretStr

from bench.cpu import tree
from bench.load import Order, Report
from bench.ports import free_port
from milepost.accounts import keys
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.db.cluster import find_data
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.db.pool import open_pool
from milepost.db.postmaster import running_postmaster
from milepost.settings import Settings

READY_SECONDS = 180
STOP_SECONDS = 60
"""Both are for a machine that is busy with other things: they take a second or two."""
_SECRET = "bench-" * 10
_PLENTY = 1_000_000_000
"""A limit that is counted like any other and never reached."""


@dataclass(frozen=True, slots=True)
class Merchant:
    """An account with budgets that are counted, and how its requests say who calls."""

    account_id: int
    authorization: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``pid`` is the root of its processes, ``worker`` the one that answers."""

    pid: int
    worker: int
    port: int


@dataclass(frozen=True, slots=True)
class Database:
    """One migrated database; ``dsn`` is its superuser's."""

    name: str
    dsn: str
    settings: Settings

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection that sees every row and fires no triggers, for filling."""
        quiet = {"session_replication_role": "replica", "synchronous_commit": "off"}
        return await asyncpg.connect(self.dsn, server_settings=quiet)

    async def merchant(self, name: str) -> Merchant:
        """A new account with a key."""
        async with await open_pool(self.dsn, "milepost_admin", self.settings) as pool:
            account = await keys.create_account(pool, name)
            secrets = SecretKeys.load(self.settings, embedded=False)
            made = await keys.create_key(pool, secrets, account.account_id)
            await keys.set_limits(pool, account.account_id, reads=_PLENTY, writes=_PLENTY, burst=0)
        pair = f"{made.key.public_key}:{made.secret_key}".encode()
        return Merchant(account.account_id, "Basic " + base64.b64encode(pair).decode())

    async def login(self, carrier_code: str) -> None:
        """A login of the operator's, with which a carrier would be asked."""
        async with await open_pool(self.dsn, "milepost_admin", self.settings) as pool:
            store = CredentialStore(pool, SecretKeys.load(self.settings, embedded=False))
            await store.set_for_operator(carrier_code, {"api_key": "bench"})

    @property
    def environment(self) -> dict[str, str]:
        """For Milepost's own commands and processes on this database."""
        inherited = {name: value for name, value in os.environ.items() if "MILEPOST" not in name}
        return inherited | {
            "MILEPOST_DATABASE_URL": self.dsn,
            "MILEPOST_SECRET_KEY": _SECRET,
            "MILEPOST_STATE_DIR": str(self.settings.state_dir),
        }


class House:
    """One PostgreSQL server for the run."""

    def __init__(self, state_dir: Path) -> None:
        self._embedded = EmbeddedPostgres(Settings(state_dir=state_dir))
        self._dsn = ""
        self._made = 0
        self._migrating = asyncio.Lock()
        self._is_migrated = False
        self.postgres = 0

    @contextmanager
    def open(self) -> Iterator["House"]:
        """Started, and stopped at the end of the block.

        What one that was killed has left there is stopped and removed before.
        """
        self._clear()
        self._embedded.state_dir.mkdir(parents=True)
        self._dsn = self._embedded.start()
        self.postgres = running_postmaster(find_data(self._embedded.folder)) or 0
        try:
            yield self
        finally:
            self._embedded.stop()
            self._clear()

    def _clear(self) -> None:
        folder = self._embedded.folder
        if folder.exists():
            data = find_data(folder)
            if running_postmaster(data) is not None:
                self._embedded.start()
                self._embedded.stop()
            # It lies elsewhere where PostgreSQL's user can't reach the state directory.
            if data.parent != folder:
                shutil.rmtree(data.parent, ignore_errors=True)
        shutil.rmtree(self._embedded.state_dir, ignore_errors=True)

    async def database(self, name: str) -> Database:
        """A new migrated database whose name begins so."""
        async with self._migrating:
            if not self._is_migrated:
                await migrate(self._dsn)
                self._is_migrated = True
            self._made += 1
            name = f"{name}_{self._made}"
        await self._tell(f"CREATE DATABASE {name} TEMPLATE milepost")
        dsn = self._dsn.replace("/milepost?", f"/{name}?")
        settings = Settings(
            state_dir=self._embedded.state_dir,
            database_url=SecretStr(dsn),
            secret_key=SecretStr(_SECRET),
        )
        return Database(name, dsn, settings)

    @asynccontextmanager
    async def filling(self) -> AsyncIterator[None]:
        """Much is written in this block: one checkpoint at its end, before anything is measured."""
        await self._tell("ALTER SYSTEM SET max_wal_size = '8GB'", "SELECT pg_reload_conf()")
        try:
            yield
        finally:
            await self._tell("ALTER SYSTEM RESET max_wal_size", "SELECT pg_reload_conf()")
            await self._tell("CHECKPOINT")

    async def _tell(self, *statements: str) -> None:
        """From the database that nobody else is connected to, as no template may be used."""
        connection = await asyncpg.connect(self._dsn.replace("/milepost?", "/postgres?"))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @property
    def socket_folder(self) -> str:
        """Where PostgreSQL listens."""
        return self._dsn.partition("host=")[2].partition("&")[0].replace("%2F", "/")

    @property
    def programs(self) -> Path:
        """The folder of PostgreSQL's programs."""
        return Path(f"/proc/{self.postgres}/exe").resolve().parent


@contextmanager
def api_server(database: Database) -> Iterator[Server]:
    """Milepost's API on a database, as an operator runs it, with its metrics on."""
    metrics = {"MILEPOST_HOST": "127.0.0.1", "MILEPOST_METRICS_PORT": str(free_port())}
    with running(command("api"), database.environment | metrics, "MILEPOST_PORT") as found:
        yield found


@contextmanager
def bare_server(size: int) -> Iterator[Server]:
    """Constant bytes from the same server."""
    with running([sys.executable, "-m", "bench.bare", str(size)], {}) as found:
        yield found


def command(*words: str) -> list[str]:
    """A command of Milepost."""
    return [sys.executable, "-m", "milepost.cli.main", *words]


@contextmanager
def running(words: list[str], environment: dict[str, str], variable: str = "") -> Iterator[Server]:
    """A server process on a free port, told as ``variable`` or as the last argument."""
    port = free_port()
    told = {variable: str(port)} if variable else {}
    words = words if variable else [*words, str(port)]
    process = subprocess.Popen(
        words, env=(environment or dict(os.environ)) | told, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{words[2]} did not start")
            time.sleep(0.05)
        yield Server(process.pid, answering(process.pid), port)
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Told to end, and killed with all its processes where it does not: what was measured holds."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in tree(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _ready(port: int) -> bool:
    """Whether it answers at all: the port is open before the processes behind it are."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:
        return False


def answering(pid: int) -> int:
    """The process that answers: the deepest one, but for a bookkeeper of Python's."""
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        # One that ended meanwhile is not the one.
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                return answering(child)
    return pid


async def load(order: Order) -> Report:
    """Fill an order from a process of its own; any answer but 200 is an error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.load",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    said, _ = await process.communicate(orjson.dumps(order))
    if process.returncode != 0:
        raise RuntimeError("the load generator failed")
    report = Report(**orjson.loads(said))
    if set(report.statuses) != {"200"}:
        raise RuntimeError(f"answers other than 200: {report.statuses} {report.example}")
    return report


def head(method: str, path: str, merchant: Merchant | None = None, **more: Any) -> str:
    """The head of a request, without the blank line that ends it."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "accept: application/json"]
    if merchant is not None:
        lines.append(f"authorization: {merchant.authorization}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return "\r\n".join(lines) + "\r\n"
