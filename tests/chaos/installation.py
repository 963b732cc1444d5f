"""A real installation whose parts can be killed: started by the public commands only."""

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil
from bench.ports import free_port
from tests.carriers.dhl_server import API_KEY, HOST
from tests.live_server import (
    MILEPOST,
    STOP_SECONDS,
    environment,
    open_account,
    wait_until_ready,
)
from tests.ready_cluster import lay_cluster, make_state_dir

from milepost.accounts.secret_keys import SecretKeys, check_fingerprint
from milepost.accounts.vault import CredentialStore
from milepost.db.cluster import find_data
from milepost.db.embedded import EmbeddedPostgres, dsn_for
from milepost.db.migrate import migrate
from milepost.db.pool import Pool, open_pool
from milepost.db.postmaster import running_postmaster, socket_of
from milepost.settings import Settings

LAST_LINES = 60


@dataclass(frozen=True, slots=True)
class Key:
    """An account's access."""

    account_id: int
    public_key: str
    secret: str = field(repr=False)

    @property
    def user(self) -> str:
        return f"{self.public_key}:{self.secret}"


class Installation:
    """One state directory, the commands that run on it and the processes below them."""

    def __init__(self, state_dir: Path, **variables: str) -> None:
        self.state_dir = state_dir
        self.port = free_port()
        self.variables = variables
        self.log = state_dir / "log"
        self.dsn = ""
        self.keys: list[Key] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.others: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> Settings:
        return Settings(state_dir=self.state_dir)

    async def prepare(self, accounts_wanted: int, carrier_port: int) -> None:
        """A migrated database with unlimited accounts, and DHL's host leading to us."""
        server = EmbeddedPostgres(self.settings)
        try:
            await self.prepare_on(server, accounts_wanted, carrier_port)
        finally:
            await asyncio.to_thread(server.stop)

    async def prepare_on(
        self,
        server: EmbeddedPostgres,
        accounts_wanted: int,
        carrier_port: int,
        calls_per_second: int = 1000,
    ) -> None:
        """The same on a server that is started, and left running."""
        await asyncio.to_thread(lay_cluster, self.state_dir)
        self.dsn = await asyncio.to_thread(server.start)
        await migrate(self.dsn)
        secret_keys = SecretKeys.load(self.settings, embedded=True)
        async with await open_pool(self.dsn, "milepost_admin", self.settings) as pool:
            await check_fingerprint(pool, secret_keys)
            await self._fill(pool, secret_keys, accounts_wanted)
            quota = {"calls_per_second": str(calls_per_second), "calls_per_day": "100000000"}
            store = CredentialStore(pool, secret_keys)
            await store.set_for_operator("dhl", {"api_key": API_KEY, **quota})
            route = f"http://127.0.0.1:{carrier_port}"
            await pool.execute("INSERT INTO host_route VALUES ($1, $2)", HOST, route)

    async def _fill(self, pool: Pool, secret_keys: SecretKeys, accounts_wanted: int) -> None:
        for number in range(accounts_wanted):
            new = await open_account(pool, secret_keys, f"client {number}")
            self.keys.append(Key(new.key.account_id, new.key.public_key, new.secret_key))

    def start(self) -> None:
        """``milepost run``; returns when it is ready."""
        if self.process is not None:
            self.process.wait()
        self.process = self._spawn("run", self.port, {})
        wait_until_ready(self.process, self.port, self.log)
        # A clean stop forgets the socket's folder, so the DSN of a later start is another.
        self.dsn = dsn_for(socket_of(find_data(self.state_dir / "postgresql")))

    def spawn(self, command: str, port: int, **variables: str) -> subprocess.Popen[bytes]:
        """One more command on the same state directory, ended with the installation."""
        started = self._spawn(command, port, variables)
        self.others.append(started)
        return started

    def _spawn(
        self, command: str, port: int, variables: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [MILEPOST, command],
                env=environment(self.state_dir, port) | self.variables | dict(variables),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    # What can be killed -----------------------------------------------------------------------

    def api_main(self) -> list[psutil.Process]:
        return _below(self.process, "cli.api_process")

    def api_processes(self) -> list[psutil.Process]:
        """The processes that answer requests."""
        return [one for main in self.api_main() for one in _below(main, "cli.api_process")]

    def serving(self, command: subprocess.Popen[bytes]) -> list[psutil.Process]:
        """What does the work below a spawned ``milepost api`` or ``milepost worker``."""
        answering = [_below(main, "cli.api_process") for main in _below(command, "cli.api_process")]
        return [*itertools.chain(*answering), *_below(command, "cli.worker_process")]

    def workers(self) -> list[psutil.Process]:
        return _below(self.process, "cli.worker_process")

    def postmaster(self) -> psutil.Process | None:
        pid = running_postmaster(find_data(self.state_dir / "postgresql"))
        with suppress(psutil.Error):
            return psutil.Process(pid) if pid else None
        return None

    def backends(self) -> list[psutil.Process]:
        """Server processes that serve one of our connections."""
        return _below(self.postmaster(), "[local]")

    def everything(self) -> list[psutil.Process]:
        """All of it, orphans of what was killed before included."""
        ours = [one for one in psutil.process_iter() if self._is_ours(one)]
        return [*ours, *self.database()]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("MILEPOST_STATE_DIR") == str(self.state_dir)
        except (psutil.Error, OSError):
            return False

    def database(self) -> list[psutil.Process]:
        postmaster = self.postmaster()
        return [*([postmaster] if postmaster else []), *_children(postmaster)]

    def stop(self) -> int | None:
        """As an operator would; the exit code of ``milepost run``."""
        for one in (*self.others, *([self.process] if self.process else [])):
            self.end(one)
        return self.process.returncode if self.process else None

    def last_words(self) -> str:
        """What is left of it, and what it said last: to be told with a failure, for both go."""
        code = self.process.poll() if self.process else None
        alive = [f"{one.pid} {_command(one)}" for one in self.everything()]
        said = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join([f"milepost run: {code}", *alive, *said])

    def end(self, command: subprocess.Popen[bytes]) -> None:
        """SIGTERM, and SIGKILL to one that doesn't heed it."""
        if command.poll() is None:
            command.send_signal(signal.SIGTERM)
            try:
                command.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(command.pid, signal.SIGKILL)
                command.wait()

    def kill(self, command: subprocess.Popen[bytes]) -> None:
        """SIGKILL to a spawned command and everything below it."""
        below = _children(command, recursive=True)
        command.kill()
        for one in below:
            with suppress(psutil.Error):
                one.kill()
        command.wait()

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The server's superuser, waiting for it while it recovers."""
        for _ in range(600):
            with suppress(OSError, asyncpg.PostgresError):
                return await asyncpg.connect(self.dsn)
            await asyncio.sleep(0.1)
        raise AssertionError("the database does not come back")


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _below(
    process: "psutil.Process | subprocess.Popen[bytes] | None", named: str
) -> list[psutil.Process]:
    return [one for one in _children(process) if named in _command(one)]


def _children(
    process: "psutil.Process | subprocess.Popen[bytes] | None", *, recursive: bool = False
) -> list[psutil.Process]:
    try:
        parent = process if isinstance(process, psutil.Process) else None
        if process is not None and parent is None:
            parent = psutil.Process(process.pid)
        return [] if parent is None else parent.children(recursive=recursive)
    except psutil.Error:
        return []


@contextmanager
def installation(**variables: str) -> Iterator[Installation]:
    """An empty one; whatever it started is ended with the block, its state removed."""
    made = Installation(make_state_dir(), **variables)
    seen: list[psutil.Process] = []
    try:
        yield made
    finally:
        seen = made.everything()
        made.stop()
        deadline = time.monotonic() + 10
        while any(_command(one) for one in seen) and time.monotonic() < deadline:
            time.sleep(0.1)
        for one in seen:
            with suppress(psutil.Error):
                one.kill()
        shutil.rmtree(made.state_dir, ignore_errors=True)
