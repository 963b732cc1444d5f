"""Real PostgreSQL for every test: one embedded server per run, a fresh database per test."""

import asyncio
import functools
import gc
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import asyncpg
import pytest
import tests.unhurried  # noqa: F401
from hypothesis import settings as properties
from tests.ready_cluster import lay_cluster, make_room, make_state_dir

from milepost.carriers import registry
from milepost.carriers.manifest import read_manifest
from milepost.carriers.registry import Catalogue
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.db.pool import Pool, open_pool
from milepost.settings import Settings

# jsonschema builds the grammars of IRIs when it is imported, a third of what collecting all tests
# takes; no test asks about those formats. It does without where the package is not there.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

pytest_plugins = ["tests.promise_skips", "tests.refused_commits", "tests.sharing"]

TEMPLATE = "template_milepost"

# The catalogue's manifests are the same for all tests, and read a hundred times over. Carriers and
# their connectors are made anew each time; what a test lays elsewhere is read as it is.
_CATALOGUE = registry.catalogue_folder()
_read_once = functools.cache(read_manifest)
registry.read_manifest = lambda path: (  # type: ignore[attr-defined]
    _read_once(path) if path.is_relative_to(_CATALOGUE) else read_manifest(path)
)


def pytest_configure(config: pytest.Config) -> None:
    make_room(config)
    # The same examples everywhere, however long one takes here: CI's are not another run's luck.
    if not config.getoption("hypothesis_profile", None):
        properties.load_profile("ci")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: looking through it for rubbish was a sixth of it.

    Nor is it looked through later, which takes a third of a second of whichever test runs then.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where promises alone are wanted, files without one are not even imported."""
    if collection_path.suffix != ".py" or not config.option.markexpr.startswith("promise"):
        return None
    return True if b"mark.promise" not in collection_path.read_bytes() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: what takes longest must not come last, alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


_numbers = itertools.count(1)


def with_database(dsn: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return dsn.replace("/milepost?", f"/{name}?")


async def execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """An empty state directory, removed afterwards."""
    made = make_state_dir()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The defaults, whatever the environment says."""
    return Settings(state_dir=Path("/nonexistent"))


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """All carriers; reading them takes longer than most tests do, and nothing changes them."""
    return Catalogue.load()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of this run's server (its superuser)."""
    # A mutant's run is one of many, on a server with a database the mutant is in.
    if server_of_many := os.environ.get("MILEPOST_TEST_SERVER"):
        yield server_of_many
        return
    state_dir = make_state_dir()
    lay_cluster(state_dir)
    server = EmbeddedPostgres(Settings(state_dir=state_dir))
    dsn = server.start()
    # A run that is killed leaves no server behind.
    clean_up = 'while kill -0 "$1" 2>/dev/null; do sleep 1; done; '
    clean_up += 'kill -QUIT "$2"; sleep 1; rm -rf "$3" "$4"'
    lines = (state_dir / "postgresql" / "data" / "postmaster.pid").read_text().splitlines()
    arguments = [str(os.getpid()), lines[0], str(state_dir), lines[4]]
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", clean_up, "sh", *arguments], start_new_session=True
    )
    yield dsn
    watcher.kill()
    watcher.wait()
    server.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="session")
def migrated_template(postgres: str) -> str:
    """The name of a migrated database nobody is connected to."""
    if made := os.environ.get("MILEPOST_TEST_TEMPLATE"):
        return made

    async def make() -> None:
        copied = f"CREATE DATABASE {TEMPLATE} TEMPLATE milepost"
        await execute(with_database(postgres, "postgres"), copied)
        await migrate(with_database(postgres, TEMPLATE))

    asyncio.run(make())
    return TEMPLATE


@pytest.fixture
async def dsn(postgres: str, migrated_template: str) -> AsyncIterator[str]:
    """A fresh, migrated database of this test's own."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    # Copied as files: through the log, as by default, costs half as much again.
    copied = f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY"
    await execute(postgres, copied)
    yield with_database(postgres, name)
    await execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def app_pool(dsn: str, settings: Settings) -> AsyncIterator[Pool]:
    async with await open_pool(dsn, "milepost_app", settings) as pool:
        yield pool


@pytest.fixture
async def worker_pool(dsn: str, settings: Settings) -> AsyncIterator[Pool]:
    async with await open_pool(dsn, "milepost_worker", settings) as pool:
        yield pool


@pytest.fixture
async def admin_pool(dsn: str, settings: Settings) -> AsyncIterator[Pool]:
    async with await open_pool(dsn, "milepost_admin", settings) as pool:
        yield pool


@pytest.fixture
async def account(admin_pool: Pool) -> int:
    """The id of a new account."""
    statement = "INSERT INTO account (name) VALUES ($1) RETURNING account_id"
    account_id: int = await admin_pool.fetchval(statement, f"account {next(_numbers)}")
    return account_id
