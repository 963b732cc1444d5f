"""P19: the version before keeps working while the database is brought to this version, under load.

``UPGRADE_PARCELS=1000000`` is the long form: as many parcels lie in the database meanwhile.
"""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.chaos.clients import TRACKING
from tests.conftest import execute, with_database
from tests.live_server import Client
from tests.promises.figures import keep
from tests.ready_cluster import make_state_dir
from tests.upgrade.load import Load
from tests.upgrade.locks import LockWatch
from tests.upgrade.versions import ROOT, Version, base_source

from milepost.db.migrate import current_revision, migrate, pending
from milepost.db.migration_files import FOLDER, migrations

PARCELS = int(os.environ.get("UPGRADE_PARCELS", "20000"))
CLIENTS = 4
LONGEST_LOCK = 1.0
SETTLE_SECONDS = 120
PATIENCE = 180
LEASE_SECONDS = 330
"""How long the version before lends a parcel, and some: a check that broke off waits for that."""
pytestmark = [
    pytest.mark.promise,
    pytest.mark.beside,
    pytest.mark.slow,
    pytest.mark.timeout(900 + LEASE_SECONDS + PARCELS // 2000),
]

SLOW = """
LOCK TABLE parcel IN SHARE MODE;
DO $$ BEGIN WHILE NOT pg_try_advisory_xact_lock(1) LOOP PERFORM pg_sleep(0.05); END LOOP; END $$
"""
"""Until the advisory lock is to be had."""
FILL = """
WITH made AS (
    INSERT INTO parcel (account_id, carrier_code, tracking_number, source_id, request,
        announced_at, created_at, updated_at, phase, exception, status_type, sub_status, status,
        status_at, event_count)
    SELECT account_id, 'slowpost', 'OLD' || n, 'old-' || n, jsonb_build_object(
            'to_address', jsonb_build_object('country_code', 'NL', 'postal_code', '5611EM'),
            'from_address', jsonb_build_object('country_code', 'NL', 'postal_code', '5611EM'),
            'tracking_number', jsonb_build_object(
                'tracking_number', 'OLD' || n, 'carrier_code', 'slowpost'),
            'ship_with', jsonb_build_object('type', 'shipping_option_code', 'properties',
                jsonb_build_object('shipping_option_code', 'a:b', 'contract_id', 1))),
        now(), now(), now(), 'announced', 'none', 'info', 'none', 'ANNOUNCED', now(), 1
    FROM account, generate_series($1::int, $2::int) AS n
    RETURNING account_id, parcel_id, tracking_number
), numbered AS (
    INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
    SELECT account_id, parcel_id, 'slowpost', tracking_number, 'number' FROM made
)
INSERT INTO watch (account_id, carrier_code, parcel_id, urgency, due_at)
SELECT account_id, 'slowpost', parcel_id, 0, 'infinity' FROM made
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = make_state_dir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def database(postgres: str) -> AsyncIterator[str]:
    await execute(postgres, "CREATE DATABASE upgraded")
    yield with_database(postgres, "upgraded")
    await execute(postgres, "DROP DATABASE upgraded WITH (FORCE)")


@pytest.fixture
def old(database: str, folder: Path) -> Version:
    """The version before, with its schema."""
    version = Version("old", base_source(folder / "old"), database, folder)
    assert version.loaded_from().startswith(str(folder)), "the old one runs its own source"
    version.command("db", "upgrade")
    return version


@pytest.fixture
def new(database: str, folder: Path) -> Version:
    return Version("new", ROOT / "src", database, folder)


async def test_two_versions_serve_while_the_schema_moves(old: Version, new: Version) -> None:
    user = await merchant(old)
    await fill(old.dsn)
    before = await revision(old.dsn)
    load, locks = Load(user, []), LockWatch(old.dsn)
    with old.serving("run") as by_old:
        load.ports.append(by_old.port)
        beside = [asyncio.create_task(work) for work in (load.run(CLIENTS), locks.run())]
        await written(load, 20)
        killed = await die_in_the_middle(new)
        between = await revision(old.dsn)
        await written(load, 20)
        # Started beside, it goes on from there.
        with new.serving("run") as by_new:
            load.ports.append(by_new.port)
            await written(load, 60)
            load.stop.set()
            locks.stop.set()
            await asyncio.gather(*beside)
            stuck = await not_delivered(old.dsn)
            unlike = await compared(load, Client(by_old.port, user), Client(by_new.port, user))
    faults = [*load.faults(), *unlike, *await broken(old.dsn, load)]
    longest = max(locks.longest.values(), default=0.0)
    keep(
        "P19 two versions",
        parcels=PARCELS,
        written=len(load.written),
        answers={f"{method} {status}": n for (method, status), n in load.statuses.items()},
        slowest_ms=round(1000 * load.slowest),
        longest_lock_ms=round(1000 * longest),
        revisions=[before, between, await revision(old.dsn)],
        faults=len(faults),
    )
    assert faults == []
    assert longest < LONGEST_LOCK, locks.longest
    assert stuck == [], "checks go on"
    if killed is not None:
        assert killed == -signal.SIGKILL
        assert before != between != migrations()[-1].revision, "it died in the middle"


async def test_a_migration_that_breaks_the_version_before_is_seen(
    old: Version, tmp_path: Path
) -> None:
    user = await merchant(old)
    load = Load(user, [])
    with old.serving("api") as by_old:
        load.ports.append(by_old.port)
        running = asyncio.create_task(load.run(1))
        await written(load, 3)
        renamed = "ALTER TABLE parcel RENAME COLUMN source_id TO source"
        await migrate(old.dsn, planted_in(tmp_path, renamed))
        async with asyncio.timeout(PATIENCE):
            while not load.faults():
                await asyncio.sleep(0.1)
        load.stop.set()
        await running
    assert any("failed" in fault for fault in load.faults())


async def test_a_lock_held_for_long_is_seen(database: str, tmp_path: Path) -> None:
    await migrate(database)
    locks = LockWatch(database)
    watching = asyncio.create_task(locks.run())
    holder = await asyncpg.connect(database)
    try:
        await holder.execute("SELECT pg_advisory_lock(1)")
        migrating = asyncio.create_task(migrate(database, planted_in(tmp_path, SLOW)))
        # How long it lasts from end to end says little of how long it was looked at.
        async with asyncio.timeout(PATIENCE):
            while locks.longest.get("parcel", 0) < LONGEST_LOCK:
                await asyncio.sleep(0.05)
    finally:
        await holder.close()
    await migrating
    locks.stop.set()
    await watching


def planted_in(folder: Path, statement: str) -> Path:
    """Our migrations and one more."""
    for path in FOLDER.glob("*.sql"):
        shutil.copy(path, folder)
    (folder / "9999_planted.sql").write_text(statement)
    return folder


async def merchant(version: Version) -> str:
    """``user:password`` of an account without limits."""
    user = await asyncio.to_thread(version.account, "merchant")
    limits = "reads_per_minute = 0, writes_per_minute = 0, writes_per_second = 0"
    await execute(version.dsn, f"UPDATE account SET {limits}")
    return user


async def fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for first in range(1, PARCELS + 1, 10_000):
            await connection.execute(FILL, first, min(first + 9_999, PARCELS))
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def revision(dsn: str) -> str | None:
    connection = await asyncpg.connect(dsn)
    try:
        return await current_revision(connection)
    finally:
        await connection.close()


async def written(load: Load, more: int) -> None:
    """Waits until so many more were acknowledged."""
    wanted = len(load.written) + more
    async with asyncio.timeout(PATIENCE):
        while len(load.written) < wanted:
            await asyncio.sleep(0.05)


async def die_in_the_middle(new: Version) -> int | None:
    """An upgrade killed after half of what it has to do; its exit code, None if that is nothing."""
    missing = await pending(new.dsn)
    if len(missing) < 2:
        return None
    middle = f"migrate.mid:{len(missing) // 2 + 1}"
    process = new.spawn("db", "upgrade", MILEPOST_FAILPOINT=middle)
    return await asyncio.to_thread(process.wait, PATIENCE)


async def compared(load: Load, old: Client, new: Client) -> list[str]:
    """Both read what either wrote: every number there, a sample of them with the same story."""
    faults = []
    for number in list(load.written)[:: max(1, len(load.written) // 60)]:
        answers = [await asyncio.to_thread(one.get, f"{TRACKING}/{number}") for one in (old, new)]
        if [answer.status for answer in answers] != [200, 200]:
            faults.append(f"{number}: {[answer.status for answer in answers]}")
        elif story(answers[0].document) != story(answers[1].document):
            faults.append(f"{number}: two stories")
    return faults


def story(document: Any) -> object:
    """What both versions have to tell alike."""
    named = ("event_id", "event_at", "event_type", "status", "phase", "exception", "stated_at")
    return document["status"], [[event[name] for name in named] for event in document["events"]]


ON_THEIR_WAY = """
SELECT p.tracking_number, p.status, w.due_at, w.lease_until, w.lease_until > now() AS lent, l.*
FROM parcel p
LEFT JOIN watch w USING (account_id, carrier_code, parcel_id)
LEFT JOIN lane l USING (account_id, carrier_code)
WHERE p.carrier_code = 'sandbox' AND p.status <> 'DELIVERED'
"""


async def not_delivered(dsn: str) -> list[dict[str, Any]]:
    """Sandbox parcels that don't get to their end, whichever worker asks; at best none."""
    connection = await asyncpg.connect(dsn)
    try:
        for half_second in range(LEASE_SECONDS * 2):
            rows = [dict(row) for row in await connection.fetch(ON_THEIR_WAY)]
            lent = any(row["lent"] for row in rows)
            if not rows or (half_second > SETTLE_SECONDS * 2 and not lent):
                break
            await connection.execute(
                "UPDATE watch SET due_at = now() WHERE carrier_code = 'sandbox' AND due_at > now()"
                " AND due_at < 'infinity' AND lease_until IS NULL;"
                "UPDATE lane SET turn_at = now()"
            )
            await asyncio.sleep(0.5)
        return rows
    finally:
        await connection.close()


async def broken(dsn: str, load: Load) -> list[str]:
    """Acknowledged numbers that aren't there, and events with gaps."""
    connection = await asyncpg.connect(dsn)
    try:
        stored = await connection.fetch("SELECT tracking_number FROM parcel")
        rows = await connection.fetch(
            "SELECT parcel_id, count(*) AS events, max(sequence) AS last, p.event_count"
            " FROM event JOIN parcel p USING (account_id, parcel_id)"
            " GROUP BY parcel_id, p.event_count"
            " HAVING count(*) <> max(sequence) OR p.event_count <> max(sequence)"
        )
    finally:
        await connection.close()
    lost = load.written.keys() - {row["tracking_number"] for row in stored}
    gaps = [f"parcel {row['parcel_id']}: {dict(row)}" for row in rows]
    return [*(f"lost: {number}" for number in sorted(lost)), *gaps]
