"""The one path on a real Citus cluster: ``MILEPOST_TEST_CITUS_URL=postgresql://superuser@host/db``.

The database is an empty one with ``CREATE EXTENSION citus``, its nodes added, and ``pg_hba.conf``
of every node letting the other nodes in as milepost_app, milepost_worker and milepost_admin. It is
left full; make a new one for the next run.
"""

import json
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.parcels.conftest import registration
from tests.tracking.order_free import START, poll, scan_at

from milepost.accounts import keys as accounts
from milepost.accounts.secret_keys import SecretKeys, check_fingerprint
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.distribute import check_complete, distribute, pending
from milepost.db.migrate import migrate
from milepost.db.pool import Pool, open_pool, tenant
from milepost.errors import Conflict
from milepost.monitoring.claim import Lane, claim, due_lanes
from milepost.monitoring.slots import hold
from milepost.parcels.erase import erase
from milepost.parcels.find import Reader
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings

URL = os.environ.get("MILEPOST_TEST_CITUS_URL", "")
SHARDS = 8
KEYS = SecretKeys((b"k" * 40,))
pytestmark = [
    pytest.mark.citus,
    pytest.mark.skipif(not URL, reason="MILEPOST_TEST_CITUS_URL names no database"),
]


@dataclass
class House:
    """Two accounts on the cluster."""

    app: Pool
    worker: Pool
    registrar: Registrar
    reader: Reader
    recorder: Recorder
    accounts: list[int]


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    await migrate(URL)
    await distribute(URL, SHARDS)
    async with (
        await open_pool(URL, "milepost_admin", settings) as admin,
        await open_pool(URL, "milepost_app", settings) as app,
        await open_pool(URL, "milepost_worker", settings) as worker,
    ):
        await check_fingerprint(admin, KEYS)
        names = [f"citus {secrets.token_hex(8)}" for _ in range(4)]
        made = [(await accounts.create_account(admin, name)).account_id for name in names]
        catalogue = Catalogue.load()
        yield House(
            app,
            worker,
            Registrar(app, Renderer(catalogue, CredentialStore(app, KEYS), 30), timedelta(120)),
            Reader(app, Renderer(catalogue, CredentialStore(app, KEYS), 30)),
            Recorder(worker, Renderer(catalogue, CredentialStore(worker, KEYS), 30)),
            made,
        )


async def test_it_is_distributed_once_and_completely(house: House) -> None:
    await check_complete(URL)
    connection = await asyncpg.connect(URL)
    try:
        left = [step.sql for step in await pending(connection, SHARDS)]
        sizes = "SELECT sum(pg_relation_size(logicalrelid)) FROM pg_dist_partition"
        assert await connection.fetchval(sizes) == 0, "nothing is left on the coordinator"
        groups = "SELECT count(DISTINCT colocationid) FROM pg_dist_partition WHERE partmethod = 'h'"
        assert await connection.fetchval(groups) == 1
    finally:
        await connection.close()
    assert [sql for sql in left if "run_command_on_all_nodes" not in sql] == []


async def test_register_claim_record_and_read(house: House) -> None:
    for account in house.accounts:
        wanted = registration(carrier_code="sandbox", announced_at=START)
        await house.registrar.register(account, wanted)
        with pytest.raises(Conflict):
            await house.registrar.register(account, wanted)
        lane = next(one for one in await due_lanes(house.worker, 100) if one.account_id == account)
        (claimed,) = await claim(house.worker, lane, 50, timedelta(seconds=60))
        assert await claim(house.worker, lane, 50, timedelta(seconds=60)) == []
        for asked, scan in enumerate((scan_at(60, "A", "sorted"), scan_at(90, "B", "sorted"))):
            recorded = await house.recorder.record(
                account,
                claimed.parcel_id,
                poll(asked + 2, scan),
                datetime.now(UTC),
                lambda _journey, _parcel: None,
                fence=claimed.fence,
            )
            assert not recorded.fenced
            assert recorded.new_events >= 1
        found = await house.reader.read(account, wanted.tracking_number, None, epoch=1)
        assert found is not None
        told = [one["event_type"] for one in json.loads(found.body)["events"]]
        assert told.count("carrier") == 2
        again = await house.recorder.record(
            account,
            claimed.parcel_id,
            poll(9, scan_at(120, "C", "sorted")),
            datetime.now(UTC),
            lambda _journey, _parcel: None,
            fence=claimed.fence + 1,
        )
        assert again.fenced
        await erased(house, account, claimed.parcel_id, wanted.tracking_number)


async def erased(house: House, account: int, parcel_id: int, number: str) -> None:
    receipt = await erase(house.app, account, parcel_id, "key:1")
    assert receipt is not None
    assert await house.reader.read(account, number, None, epoch=1) is None
    async with tenant(house.app, account) as connection:
        left = "SELECT count(*) FROM event WHERE account_id = $1 AND parcel_id = $2"
        assert await connection.fetchval(left, account, parcel_id) == 0


async def test_a_tenant_sees_its_own_rows_on_every_node(house: House) -> None:
    for account in house.accounts:
        await house.registrar.register(account, registration())
    for account in house.accounts:
        async with tenant(house.app, account) as connection:
            seen = await connection.fetch("SELECT DISTINCT account_id FROM parcel")
            assert [row["account_id"] for row in seen] == [account]
    async with house.app.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM parcel") == 0


async def test_a_registration_inside_a_transaction_is_seen_and_undone(house: House) -> None:
    """With an Idempotency-Key the functions run on the coordinator, their statements elsewhere."""
    account = house.accounts[0]
    wanted = registration()
    ready = await house.registrar.prepare(account, wanted)

    async def store_and_fail() -> None:
        async with tenant(house.app, account) as connection:
            await house.registrar.store(account, ready, conn=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store_and_fail()
    assert await house.reader.read(account, wanted.tracking_number, None, epoch=1) is None
    async with tenant(house.app, account) as connection:
        await house.registrar.store(account, ready, conn=connection)
    assert await house.reader.read(account, wanted.tracking_number, None, epoch=1) is not None


async def test_platform_tables_stay_on_the_coordinator(house: House) -> None:
    await hold(house.worker, "sandbox", "citus", 60)
    async with house.worker.acquire() as connection:
        paused = "SELECT paused_until > now() FROM carrier_budget WHERE owner = 'citus'"
        assert await connection.fetchval(paused) is True


async def test_operators_statements_reach_every_account(house: House) -> None:
    await house.registrar.register(house.accounts[0], registration(carrier_code="sandbox"))
    lanes = await due_lanes(house.worker, 10_000)
    assert Lane(house.accounts[0], "sandbox") in lanes
