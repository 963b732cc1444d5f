"""Each fault of a database, planted in a real one where that is possible, else in what was read."""

import dataclasses
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from tests.conftest import execute

from milepost.checkup import database_checks as checks
from milepost.checkup.standing import Standing, read_standing
from milepost.checkup.verdict import Grade
from milepost.db.vitals import Slot
from milepost.settings import Settings

Read = Callable[[], Any]


@pytest.fixture
def read(dsn: str, settings: Settings) -> Read:
    async def standing() -> Standing:
        return await read_standing(dsn, settings)

    return standing


def faults(standing: Standing) -> dict[str, str]:
    """What is not well, by check."""
    found = checks.judge_database(standing, 2)
    return {one.check: f"{one.text} -> {one.todo}" for one in found if one.grade is not Grade.OK}


async def test_a_fresh_database_is_well(read: Read) -> None:
    standing = await read()
    assert faults(standing) == {}
    names = {one.check for one in checks.judge_database(standing, 2)}
    assert names == {
        "version",
        "encoding",
        "durability",
        "checksums",
        "schema",
        "roles",
        "row security",
        "timeouts",
        "clock",
        "connections",
        "oldest transaction",
        "oldest snapshot",
        "transaction ids",
        "autovacuum",
        "wal",
    }


@pytest.mark.parametrize(
    ("planted", "undone", "check", "told"),
    [
        (
            "ALTER TABLE parcel NO FORCE ROW LEVEL SECURITY",
            "SELECT 1",
            "row security",
            "not forced, or without a policy: parcel",
        ),
        ("DROP POLICY own_account ON watch", "SELECT 1", "row security", "without a policy: watch"),
        (
            "UPDATE alembic_version SET version_num = '0001'",
            "SELECT 1",
            "schema",
            "run: milepost db upgrade",
        ),
        (
            "UPDATE alembic_version SET version_num = '9999'",
            "SELECT 1",
            "schema",
            "newer than this Milepost",
        ),
        ("DROP TABLE alembic_version", "SELECT 1", "schema", "the database is empty"),
        (
            "ALTER TABLE watch SET (autovacuum_enabled = off)",
            "SELECT 1",
            "autovacuum",
            "off for watch",
        ),
        (
            "ALTER ROLE milepost_app BYPASSRLS",
            "ALTER ROLE milepost_app NOBYPASSRLS",
            "roles",
            "milepost_app sees past row-level security",
        ),
    ],
)
async def test_what_is_wrong_is_told_with_what_to_do(
    planted: str, undone: str, check: str, told: str, dsn: str, read: Read
) -> None:
    await execute(dsn, planted)
    try:
        found = faults(await read())
    finally:
        await execute(dsn, undone)
    assert told in found.pop(check)
    assert found == {}


async def test_an_old_transaction_is_seen(dsn: str, read: Read) -> None:
    other = await asyncpg.connect(dsn)
    transaction = other.transaction(isolation="repeatable_read")
    await transaction.start()
    await other.execute("SELECT txid_current()")
    standing = await read()
    await transaction.rollback()
    await other.close()
    seconds = standing.vitals.oldest_transaction_seconds
    assert seconds > 0
    aged = dataclasses.replace(standing.vitals, oldest_transaction_seconds=seconds + 60)
    assert next(checks.transactions(aged)).grade is Grade.FAULT


async def test_a_login_that_sees_little_and_may_little(postgres: str, dsn: str) -> None:
    await execute(dsn, "CREATE ROLE narrow LOGIN", "GRANT milepost_app TO narrow")
    narrow = dsn.replace("//milepost@", "//narrow@")
    other = await asyncpg.connect(dsn)
    try:
        await execute(dsn, "GRANT SELECT ON alembic_version TO narrow")
        found = faults(await read_standing(narrow, Settings()))
    finally:
        await other.close()
        await execute(dsn, "DROP OWNED BY narrow", "DROP ROLE narrow")
    assert (
        "GRANT milepost_worker TO narrow;" in found["roles"] or "milepost_admin" in found["roles"]
    )
    assert "sessions of others are not shown" in found["oldest transaction"]
    assert "may not see the size" in found["wal"]


async def test_faults_nobody_can_plant_here(read: Read) -> None:
    standing: Standing = await read()
    assert standing.contents is not None
    lossy = dataclasses.replace(standing.contents.in_force[0], synchronous_commit="off")
    endless = dataclasses.replace(standing.contents.in_force[0], lock_ms=0, idle_ms=0)
    vitals = standing.vitals
    dead = dataclasses.replace(
        next(one for one in vitals.tables if one.name == "watch"), live=10, dead=200_000
    )

    def with_vitals(**changes: Any) -> Standing:
        return dataclasses.replace(standing, vitals=dataclasses.replace(vitals, **changes))

    def with_limits(one: Any) -> Standing:
        contents = dataclasses.replace(standing.contents, in_force=(one,))  # type: ignore[type-var]
        return dataclasses.replace(standing, contents=contents)

    def with_(**changes: Any) -> Standing:
        return dataclasses.replace(standing, **changes)

    planted = [
        (with_(version=150004), "version", "PostgreSQL 15.4 -> use PostgreSQL 16 or newer"),
        (with_(in_recovery=True), "version", "a replica"),
        (with_(encoding="SQL_ASCII"), "encoding", "the encoding is SQL_ASCII"),
        (with_(fsync="off"), "durability", "fsync off"),
        (with_(full_page_writes="off"), "durability", "full_page_writes off"),
        (with_limits(lossy), "durability", "synchronous_commit off"),
        (with_limits(endless), "timeouts", "no lock_timeout, idle_in_transaction"),
        (with_(data_checksums="off"), "checksums", "pg_checksums --enable"),
        (with_(autovacuum="off"), "autovacuum", "switch autovacuum on"),
        (with_(roles=standing.roles[1:]), "roles", "CREATE ROLE milepost_admin NOLOGIN;"),
        (with_(clock_seconds=-7.0), "clock", "-7.000 s from ours -> run NTP"),
        (with_vitals(used_connections=97), "connections", "97 of 97"),
        (with_vitals(used_connections=90), "connections", "too few for full pools"),
        (with_vitals(oldest_xmin_age=60_000_000), "oldest snapshot", "60000000 transactions"),
        (with_vitals(frozen_age=1_600_000_000), "transaction ids", "VACUUM (FREEZE)"),
        (with_vitals(tables=(dead,)), "autovacuum", "watch has 200000 dead rows beside 10 live"),
        (with_vitals(wal_bytes=60 * checks.GIB), "wal", "60.00 GiB of WAL"),
        (
            with_vitals(slots=(Slot("gone", False, 2 * checks.GIB),)),
            "replication slots",
            "pg_drop_replication_slot('gone')",
        ),
    ]
    for broken, check, told in planted:
        found = faults(broken)
        assert told in found.pop(check, ""), (check, told)
        assert found == {}, check
