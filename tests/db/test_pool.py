"""Roles, tenants, commits that are commits, and an outage told as one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import execute, with_database

from milepost.db.pool import Pool, Role, is_outage, load_queries, open_pool, retrying, tenant
from milepost.errors import DatabaseUnavailable
from milepost.settings import Settings

ROLES: tuple[Role, ...] = ("milepost_app", "milepost_worker", "milepost_admin")
TENANT_TABLES = (
    "SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
    " WHERE relkind IN ('r', 'p') AND NOT relispartition"
    " AND relnamespace = 'public'::regnamespace AND attname = 'account_id'"
)


@pytest.mark.parametrize("role", ROLES)
async def test_every_connection_acts_as_its_role_and_under_row_level_security(
    dsn: str, settings: Settings, role: Role
) -> None:
    async with await open_pool(dsn, role, settings) as pool:
        assert await pool.fetchval("SELECT current_user") == role
        bypass = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        assert await pool.fetchval(bypass) is False
        await pool.execute("RESET ROLE")
        assert await pool.fetchval("SELECT current_user") == role


async def test_every_tenant_table_forces_row_level_security(dsn: str, app_pool: Pool) -> None:
    forced = f"{TENANT_TABLES} AND NOT (relrowsecurity AND relforcerowsecurity)"
    assert await app_pool.fetch(forced) == []
    owners = "SELECT count(*) FROM pg_tables WHERE tableowner LIKE 'milepost\\_%'"
    assert await app_pool.fetchval(owners) == 0


async def test_without_a_setting_nothing_is_seen_and_with_another_nothing_is_written(
    app_pool: Pool, admin_pool: Pool, account: int
) -> None:
    insert = "INSERT INTO contract (account_id, carrier_code) VALUES ($1, 'x')"
    async with tenant(app_pool, account) as connection:
        await connection.execute(insert, account)
    for row in await app_pool.fetch(TENANT_TABLES):
        assert await app_pool.fetchval(f"SELECT count(*) FROM {row['relname']}") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant(app_pool, account + 1) as connection:
            await connection.execute(insert, account)


async def test_a_tenant_sees_only_itself_and_the_setting_ends_with_it(
    app_pool: Pool, account: int, admin_pool: Pool
) -> None:
    await admin_pool.execute("INSERT INTO account (name) VALUES ('another')")
    async with tenant(app_pool, account) as connection:
        rows = await connection.fetch("SELECT account_id FROM account")
    assert [row["account_id"] for row in rows] == [account]
    assert await app_pool.fetchval("SELECT count(*) FROM account") == 0


async def test_tenants_never_cross_though_cancelled_at_random(
    dsn: str, settings: Settings, admin_pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    insert = "INSERT INTO account (name) SELECT 'a' || n FROM generate_series(1, 20) n"
    rows = await admin_pool.fetch(f"{insert} RETURNING account_id")

    async def look(pool: Pool, account_id: int, patience: float) -> None:
        async with asyncio.timeout(patience), tenant(pool, account_id) as connection:
            seen = await connection.fetch("SELECT account_id, pg_sleep(0.001) FROM account")
            assert [row["account_id"] for row in seen] == [account_id]

    async with await open_pool(dsn, "milepost_app", settings, max_size=4) as pool:
        # The last ones are patient whatever else this machine does.
        looks = [
            look(pool, row["account_id"], 0.02 * n + 0.002 if n < 9 else 30)
            for n in range(10)
            for row in rows
        ]
        results = await asyncio.gather(*looks, return_exceptions=True)
        assert {type(result) for result in results} == {type(None), TimeoutError}
        assert await pool.fetchval("SELECT count(*) FROM account") == 0
    assert caplog.records == [], "no connection went back with its transaction open"


async def test_an_exception_rolls_back(app_pool: Pool, account: int) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 the block is what is tested
        async with tenant(app_pool, account) as connection:
            await connection.execute(f"INSERT INTO contract VALUES ({account}, 'x')")
            raise ZeroDivisionError
    async with tenant(app_pool, account) as connection:
        assert await connection.fetchval("SELECT count(*) FROM contract") == 0


async def test_a_failed_transaction_is_never_called_committed(app_pool: Pool, account: int) -> None:
    with pytest.raises(asyncpg.InFailedSQLTransactionError):  # noqa: PT012 the same
        async with tenant(app_pool, account) as connection:
            await connection.execute(f"INSERT INTO contract VALUES ({account}, 'x')")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("SELECT 1 / 0")
    assert await app_pool.fetchval("SELECT 1") == 1


async def test_json_goes_in_and_out_as_objects(app_pool: Pool) -> None:
    value = {"a": [1, 2.5, None, "é\n"], "b": {"c": True}}
    assert await app_pool.fetchval("SELECT $1::jsonb", value) == value
    assert await app_pool.fetchval("SELECT $1::jsonb -> 'a' -> 3", value) == "é\n"


async def test_timeouts_hold_per_role(dsn: str) -> None:
    settings = Settings(
        state_dir=Path("/nonexistent"), statement_seconds_api=0.5, statement_seconds_jobs=30
    )
    async with await open_pool(dsn, "milepost_app", settings) as pool:
        with pytest.raises(asyncpg.QueryCanceledError):
            await pool.execute("SELECT pg_sleep(60)")
        assert await pool.fetchval("SHOW idle_in_transaction_session_timeout") == "30s"
        assert await pool.fetchval("SHOW lock_timeout") == "3s"
    async with await open_pool(dsn, "milepost_worker", settings) as pool:
        assert await pool.fetchval("SHOW statement_timeout") == "30s"


async def test_giving_back_a_connection_costs_no_round_trip(app_pool: Pool) -> None:
    sent: list[str] = []
    async with app_pool.acquire() as connection:
        connection.add_query_logger(lambda record: sent.append(record.query))
    assert sent == []


async def test_a_conflict_without_end_is_unavailable() -> None:
    tries = 0

    async def conflict() -> None:
        nonlocal tries
        tries += 1
        raise asyncpg.SerializationError("again")

    with pytest.raises(DatabaseUnavailable):
        await retrying(conflict)
    assert tries == 5


async def test_a_real_write_conflict_is_repeated(dsn: str, account: int) -> None:
    """Two serializable writers on one row; without the repeat one of them fails."""

    async def add_one() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            async with connection.transaction(isolation="serializable"):
                seen = await connection.fetchval("SELECT reads_per_minute FROM account")
                await asyncio.sleep(0.05)
                await connection.execute("UPDATE account SET reads_per_minute = $1", seen + 1)
        finally:
            await connection.close()

    await asyncio.gather(retrying(add_one), retrying(add_one))
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT reads_per_minute FROM account") == 1002
    await connection.close()


async def test_a_killed_backend_is_unavailable_and_the_pool_recovers(
    app_pool: Pool, dsn: str
) -> None:
    async def killed() -> None:
        async with app_pool.acquire() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            await asyncio.gather(connection.execute("SELECT pg_sleep(60)"), kill_backend(pid))

    async def kill_backend(pid: int) -> None:
        await asyncio.sleep(0.1)
        await execute(dsn, f"SELECT pg_terminate_backend({pid})")

    with pytest.raises(DatabaseUnavailable):
        await retrying(killed)
    assert await retrying(lambda: app_pool.fetchval("SELECT 1")) == 1


async def test_a_query_that_takes_too_long_is_unavailable_in_time(app_pool: Pool) -> None:
    started = asyncio.get_running_loop().time()
    with pytest.raises(DatabaseUnavailable):
        await retrying(lambda: app_pool.execute("SELECT pg_sleep(60)"), seconds=0.2)
    assert asyncio.get_running_loop().time() - started < 30


async def test_an_exhausted_pool_is_unavailable_in_time(dsn: str, settings: Settings) -> None:
    async with await open_pool(dsn, "milepost_app", settings, max_size=1) as pool:
        async with pool.acquire():
            with pytest.raises(DatabaseUnavailable):
                await retrying(lambda: pool.fetchval("SELECT 1"), seconds=0.2)
        assert await retrying(lambda: pool.fetchval("SELECT 1")) == 1


@asynccontextmanager
async def swallowing_server() -> AsyncIterator[int]:
    """A host that takes connections and never says a word."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_silent_host_is_unavailable_in_time() -> None:
    settings = Settings(state_dir=Path("/nonexistent"), connect_seconds=0.3)
    async with swallowing_server() as port:
        pool = await open_pool(f"postgresql://a@127.0.0.1:{port}/x", "milepost_app", settings)
        with pytest.raises(DatabaseUnavailable):
            await retrying(lambda: pool.fetchval("SELECT 1"))
        pool.terminate()


async def test_a_pool_opens_while_the_server_is_away_and_finds_it_later(
    dsn: str, postgres: str, settings: Settings
) -> None:
    away = with_database(postgres, "comes_later")
    async with await open_pool(away, "milepost_app", settings) as pool:
        with pytest.raises(DatabaseUnavailable):
            await retrying(lambda: pool.fetchval("SELECT 1"))
        connection = await asyncpg.connect(postgres)
        await connection.execute("CREATE DATABASE comes_later")
        assert await retrying(lambda: pool.fetchval("SELECT 1")) == 1
        await connection.execute("DROP DATABASE comes_later WITH (FORCE)")
        await connection.close()


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (asyncpg.DiskFullError("x"), True),
        (asyncpg.ReadOnlySQLTransactionError("x"), True),
        (asyncpg.LockNotAvailableError("x"), True),
        (asyncpg.QueryCanceledError("x"), True),
        (asyncpg.TooManyConnectionsError("x"), True),
        (asyncpg.CannotConnectNowError("x"), True),
        (asyncpg.ConnectionDoesNotExistError("x"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.InterfaceError("pool is closing"), True),
        (asyncpg.InternalClientError("cannot switch to state 13; protocol is failed"), True),
        (asyncpg.InternalClientError("unknown portal"), False),
        (FileNotFoundError("no socket"), True),
        (TimeoutError(), True),
        (asyncpg.InterfaceError("the server expects 2 arguments for this query"), False),
        (asyncpg.UniqueViolationError("x"), False),
        (asyncpg.UndefinedTableError("x"), False),
        (ValueError("x"), False),
    ],
)
def test_what_is_an_outage_and_what_a_bug(error: Exception, outage: bool) -> None:
    assert is_outage(error) is outage


async def test_a_bug_stays_loud(app_pool: Pool) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await retrying(lambda: app_pool.execute("SELECT * FROM no_such_table"))


async def test_queries_come_from_a_file(app_pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "room.sql"
    file.write_text(
        "-- name: double(number)^\n-- Twice the number.\nSELECT :number::int * 2 AS twice;\n"
    )
    row = await load_queries(file).double(app_pool, number=21)
    assert row["twice"] == 42
