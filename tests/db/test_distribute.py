"""``milepost db distribute``: what it asks of Citus, in which order, and once."""

import asyncpg
import pytest
from tests.conftest import execute
from tests.db.citus_stand_in import install
from tests.db.rewrite_distribution import FILE, SHARDS, statements
from tests.sharding_rules import PLATFORM, TENANT

from milepost.db.distribute import check_complete, distribute
from milepost.errors import ConfigurationError

REWRITE = "python tests/db/rewrite_distribution.py"


async def test_the_statements_are_those_of_the_golden_file(dsn: str) -> None:
    assert await statements(dsn) == FILE.read_text(), f"read the difference, then run: {REWRITE}"


async def spread(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT logicalrelid::regclass::text FROM pg_dist_partition")
        return {row[0] for row in rows}
    finally:
        await connection.close()


async def test_tenant_tables_are_spread_and_platform_tables_stay(dsn: str) -> None:
    await install(dsn)
    await distribute(dsn, SHARDS)
    # The stand-in refuses a table before one that it points at, as Citus does.
    assert await spread(dsn) == TENANT
    assert not await spread(dsn) & PLATFORM


async def test_functions_go_where_their_account_is_and_what_they_call_comes_along(
    dsn: str,
) -> None:
    await execute(
        dsn,
        "CREATE FUNCTION deep() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION shallow() RETURNS int LANGUAGE sql AS 'SELECT deep()'",
        "CREATE FUNCTION alone() RETURNS int LANGUAGE sql AS 'SELECT shallow()'",
        "CREATE FUNCTION hot(p_account bigint) RETURNS int LANGUAGE sql AS 'SELECT shallow()'",
        "CREATE FUNCTION odd(p_account text) RETURNS int LANGUAGE sql AS 'SELECT alone()'",
    )
    text = await statements(dsn)
    assert "create_distributed_function('hot(bigint)', 'p_account', colocate_with" in text
    assert "create_distributed_function('shallow()');" in text
    assert "create_distributed_function('deep()');" in text
    assert "alone()" not in text
    assert "odd(" not in text
    assert "take_carrier_slots" not in text, "a platform table's function stays with it"


async def test_partitions_follow_their_table(dsn: str) -> None:
    await execute(
        dsn,
        "CREATE TABLE monthly (account_id bigint, at timestamptz) PARTITION BY RANGE (at)",
        "CREATE TABLE monthly_1 PARTITION OF monthly"
        " FOR VALUES FROM ('2026-01-01Z') TO ('2026-02-01Z')",
    )
    text = await statements(dsn)
    assert "create_distributed_table('monthly', " in text
    assert "monthly_1" not in text


async def test_what_is_distributed_is_skipped(dsn: str) -> None:
    await install(dsn, "ALTER FUNCTION create_distributed_function RENAME TO broken")
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await distribute(dsn, SHARDS)
    assert await spread(dsn) == TENANT, "what was done before the failure stays done"
    await execute(dsn, "ALTER FUNCTION broken RENAME TO create_distributed_function")
    ran = await distribute(dsn, SHARDS)
    assert not any("create_distributed_table" in sql for sql in ran)
    assert any("'register_parcel(" in sql for sql in ran)
    again = await distribute(dsn, SHARDS)
    assert [sql for sql in again if "run_command_on_all_nodes" not in sql] == []
    assert "create_distributed" not in await statements(dsn)


async def test_the_copy_left_on_the_coordinator_is_removed(dsn: str, account: int) -> None:
    await install(dsn)
    ran = await distribute(dsn, SHARDS)
    assert "SELECT truncate_local_data_after_distributing_table('account')" in ran
    assert "SELECT truncate_local_data_after_distributing_table('parcel')" not in ran, "is empty"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("UPDATE pg_extension SET extversion = '10.2-5' WHERE extname = 'citus'", "11 or newer"),
        ("UPDATE pg_dist_local_group SET groupid = 3", "connect to the coordinator"),
        ("UPDATE pg_dist_node SET shouldhaveshards = false", "no node of Citus may hold shards"),
        ("UPDATE pg_dist_node SET fault = 'out of order' WHERE nodeid = 2", "node 2 refused: out"),
    ],
)
async def test_one_line_says_why_not(dsn: str, change: str, line: str) -> None:
    await install(dsn, change)
    with pytest.raises(ConfigurationError, match=line):
        await distribute(dsn, SHARDS)
    assert await spread(dsn) == set()


async def test_without_citus_one_line_says_so(dsn: str) -> None:
    with pytest.raises(ConfigurationError, match="this database has no Citus"):
        await distribute(dsn, SHARDS)


async def test_a_half_distributed_database_is_refused(dsn: str) -> None:
    await check_complete(dsn)
    await install(dsn)
    await check_complete(dsn)
    await distribute(dsn, SHARDS)
    await check_complete(dsn)
    await execute(
        dsn, "CREATE FUNCTION hot(p_account bigint) RETURNS int LANGUAGE sql AS 'SELECT 1'"
    )
    with pytest.raises(ConfigurationError, match=r"1 of its tables or functions .* db distribute"):
        await check_complete(dsn)
