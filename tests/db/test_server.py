"""Which servers are accepted. "External" ones here are the bundled programs, run by hand."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.conftest import execute, with_database

from milepost.db import embedded, unprivileged
from milepost.db import server as server_module
from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.db.pool import open_pool, tenant
from milepost.db.postmaster import running_postmaster, wait_ready
from milepost.db.server import check, server
from milepost.errors import ConfigurationError
from milepost.settings import Settings


def test_an_embedded_server_lives_as_long_as_it_is_used(state_dir: Path) -> None:
    async def use() -> None:
        async with server(Settings(state_dir=state_dir), make=True) as one:
            assert one.embedded
            assert not one.watch()
            await execute(one.dsn, "SELECT 1")
            async with server(Settings(state_dir=state_dir), make=False) as other:
                assert other.dsn == one.dsn
            await execute(one.dsn, "SELECT 1")

    asyncio.run(use())
    assert running_postmaster(state_dir / "postgresql" / "data") is None


def test_a_cancelled_start_leaves_no_server(state_dir: Path) -> None:
    async def use() -> None:
        async with asyncio.timeout(0.1), server(Settings(state_dir=state_dir), make=True):
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(use())
    data = state_dir / "postgresql" / "data"
    assert data.exists()
    assert running_postmaster(data) is None


async def test_an_external_server_is_used_as_it_is(dsn: str, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "unused", database_url=SecretStr(dsn))
    async with server(settings, make=False) as external:
        assert external.dsn == dsn
        assert not external.embedded
        assert external.watch() is False
    assert not (tmp_path / "unused").exists()


async def test_a_database_that_acknowledges_too_early_is_refused(
    dsn: str, settings: Settings
) -> None:
    database = dsn.partition("@/")[2].partition("?")[0]
    await check(dsn, settings)
    await execute(dsn, f"ALTER DATABASE {database} SET synchronous_commit = off")
    with pytest.raises(ConfigurationError, match="synchronous_commit off"):
        await check(dsn, settings)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_may_forget_is_refused(
    state_dir: Path, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an operator's own server may be configured; ours can't."""
    monkeypatch.setitem(embedded.SERVER_SETTINGS, name, "off")
    external = EmbeddedPostgres(Settings(state_dir=state_dir))
    try:
        with pytest.raises(ConfigurationError, match=f"{name} off"):
            asyncio.run(check(external.start(), settings))
    finally:
        external.stop()


async def test_an_old_server_is_refused(
    dsn: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "OLDEST_VERSION", 19)
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 18\.\d+; 19 or newer is needed"):
        await check(dsn, settings)


async def test_another_encoding_is_refused(postgres: str, settings: Settings) -> None:
    name = "not_utf8"
    options = "TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE_PROVIDER libc LOCALE 'C'"
    await execute(postgres, f"CREATE DATABASE {name} {options}")
    with pytest.raises(ConfigurationError, match="SQL_ASCII; UTF8 is needed"):
        await check(with_database(postgres, name), settings)
    await execute(postgres, f"DROP DATABASE {name}")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:hunter2@127.0.0.1:1/x",
        "postgresql://someone:hunter2@/x?host=/nonexistent",
        "mysql://someone:hunter2@127.0.0.1/x",
        "hunter2",
    ],
)
async def test_an_unreachable_server_is_one_line_without_the_password(
    url: str, settings: Settings
) -> None:
    with pytest.raises(ConfigurationError, match="database is unreachable") as caught:
        await check(url, settings)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_mistyped_scheme_asks_nobody_else(settings: Settings) -> None:
    """asyncpg alone would ask whoever listens on this machine."""
    with pytest.raises(ConfigurationError, match="must begin with postgresql://"):
        await check("postgres:/hunter2", settings)


@pytest.fixture
def oldest(state_dir: Path) -> Iterator[str]:
    """A server of the oldest version we accept; the wheel brings that, too."""
    installation = unprivileged.bundled_installation().with_name("pginstall")
    user = unprivileged.run_as(state_dir / "data")
    arguments = user.popen_arguments()
    for folder in (state_dir / "data", state_dir / "socket"):
        folder.mkdir()
        user.give(folder)
    programs = installation / "bin"
    data = ["-D", str(state_dir / "data")]
    initdb = [str(programs / "initdb"), *data, "-U", "owner", "--encoding=UTF8", "--locale=C"]
    subprocess.run(initdb, check=True, capture_output=True, **arguments)
    where = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={state_dir / 'socket'}"]
    server = subprocess.Popen([str(programs / "postgres"), *data, *where], **arguments)
    assert wait_ready(state_dir / "data", server.pid, 30, server)
    yield f"postgresql://owner@/postgres?host={state_dir / 'socket'}&port=5432"
    server.send_signal(signal.SIGINT)
    server.wait(30)


async def test_the_oldest_version_does_all_of_it(oldest: str, settings: Settings) -> None:
    await check(oldest, settings)
    await migrate(oldest)
    async with await open_pool(oldest, "milepost_admin", settings) as admin:
        assert (await admin.fetchval("SHOW server_version")).startswith("16.")
        insert = "INSERT INTO account (name) VALUES ('a') RETURNING account_id"
        account = await admin.fetchval(insert)
    async with await open_pool(oldest, "milepost_app", settings) as pool:
        assert await pool.fetchval("SELECT count(*) FROM account") == 0
        async with tenant(pool, account) as connection:
            assert await connection.fetchval("SELECT name FROM account") == "a"


@pytest.mark.parametrize("password", ["hunter2/x", "hunter2#x", "hunter2?x", "x[hunter2"])
async def test_a_password_that_breaks_the_dsn_is_not_shown(
    settings: Settings, password: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        await check(f"postgresql://someone:{password}@127.0.0.1:1/milepost", settings)
    assert "hunter2" not in str(refused.value)
