"""A real Milepost in processes of its own: what a client or an operator meets."""

import asyncio
import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.ports import free_port
from tests.ready_cluster import lay_cluster, make_state_dir

from milepost.accounts import keys
from milepost.accounts.secret_keys import SecretKeys
from milepost.db import commit_faults
from milepost.db.cluster import find_data
from milepost.db.embedded import dsn_for
from milepost.db.pool import Pool, open_pool
from milepost.db.postmaster import socket_of
from milepost.settings import Settings

MILEPOST = Path(sys.executable).with_name("milepost")
READY_SECONDS = 180
STOP_SECONDS = 120
"""The API and the workers may take 25 s each to let go, an embedded PostgreSQL a minute more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Client:
    """Asks one server with one key, one connection a request."""

    port: int
    user: str = field(default="", repr=False)

    def ask(
        self, method: str, path: str, document: object = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        sent = dict(headers)
        if self.user:
            sent.setdefault(
                "Authorization", "Basic " + base64.b64encode(self.user.encode()).decode()
            )
        body = document if isinstance(document, bytes) else None
        if document is not None and body is None:
            body = json.dumps(document).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, sent)
            got = connection.getresponse()
            lower = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, lower, got.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] = {}) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, document: object, headers: Mapping[str, str] = {}) -> Answer:
        return self.ask("POST", path, document, headers)


@dataclass(frozen=True, slots=True)
class Server:
    """A running installation and its state directory."""

    port: int
    state_dir: Path

    def command(self, *words: str) -> Any:
        """What a command prints with --json."""
        done = subprocess.run(
            [MILEPOST, *words, "--json"],
            env=environment(self.state_dir, self.port),
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    def account(self, name: str, **limits: int) -> Client:
        """A new account, without rate limits unless given (0 is none)."""
        # A test may have a loop of its own.
        with ThreadPoolExecutor(1) as beside:
            new = beside.submit(asyncio.run, self._account(name, limits)).result()
        return Client(self.port, f"{new.key.public_key}:{new.secret_key}")

    async def _account(self, name: str, limits: Mapping[str, int]) -> keys.NewKey:
        settings = Settings(state_dir=self.state_dir)
        dsn = dsn_for(socket_of(find_data(self.state_dir / "postgresql")))
        secret_keys = SecretKeys.load(settings, embedded=True)
        async with await open_pool(dsn, "milepost_admin", settings) as pool:
            return await open_account(pool, secret_keys, name, **limits)


async def open_account(
    pool: Pool, secret_keys: SecretKeys, name: str, **limits: int
) -> keys.NewKey:
    """What two commands make, without their processes; no rate limits unless given (0 is none)."""
    made = await keys.create_account(pool, name)
    chosen = {"reads": 0, "writes": 0, "burst": 0} | limits
    await keys.set_limits(pool, made.account_id, **chosen)
    return await keys.create_key(pool, secret_keys, made.account_id)


def environment(state_dir: Path, port: int) -> dict[str, str]:
    """Ours alone: no setting of the caller reaches the processes."""
    return inherited() | {
        "MILEPOST_STATE_DIR": str(state_dir),
        "MILEPOST_HOST": "127.0.0.1",
        "MILEPOST_PORT": str(port),
    }


def inherited() -> dict[str, str]:
    """The caller's environment without its settings; planted faults stay."""
    return {
        name: value
        for name, value in os.environ.items()
        if "MILEPOST" not in name or name == commit_faults.VARIABLE
    }


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """``milepost run`` on a database without a row until the block ends."""
    state_dir, port = make_state_dir(), free_port()
    lay_cluster(state_dir)
    log = state_dir / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [MILEPOST, "run"],
            env=environment(state_dir, port) | settings,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until_ready(process, port, log)
        yield Server(port, state_dir)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            shutil.rmtree(state_dir, ignore_errors=True)


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if Client(port).get("/readyz").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"not ready after {READY_SECONDS} s: {log.read_text()}")
