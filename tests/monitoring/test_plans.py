"""Hot statements read what they need and no more, however much there is."""

from datetime import timedelta

import pytest
from tests.conftest import execute
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Connection, Pool, tenant
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer

PARCELS = 5_000
FILL = f"""
INSERT INTO parcel (account_id, carrier_code, tracking_number, source_id, request, announced_at,
    created_at, updated_at, phase, exception, status_type, sub_status, status, status_at)
SELECT $account, 'dhl', 'N' || n, 's' || n, '{{}}', now(), now(), now(),
    'in_transit', 'none', 'success', 'none', 'SHIPMENT_ON_ROUTE', now()
FROM generate_series(1, {PARCELS}) AS n;
INSERT INTO tracked_number (account_id, parcel_id, carrier_code, number_key, kind)
SELECT account_id, parcel_id, 'dhl', tracking_number, 'number' FROM parcel;
INSERT INTO watch (account_id, carrier_code, parcel_id, urgency, due_at)
SELECT account_id, 'dhl', parcel_id, parcel_id % 4, now() - parcel_id * interval '1 ms' FROM parcel;
INSERT INTO lane (account_id, carrier_code, turn_at) VALUES ($account, 'dhl', now());
"""


@pytest.fixture
async def full(dsn: str, account: int) -> int:
    await execute(dsn, FILL.replace("$account", str(account)), "VACUUM ANALYZE")
    return account


async def rows_read(connection: Connection, table: str, *indexes: str) -> int:
    """By this transaction: whole scans of the table, and entries of its indexes."""
    read = await connection.fetchval("SELECT pg_stat_get_xact_tuples_returned($1::regclass)", table)
    for index in indexes:
        read += await connection.fetchval(
            "SELECT pg_stat_get_xact_tuples_returned($1::regclass)", index
        )
    return int(read)


async def test_a_claim_reads_two_rows_at_most_for_each_it_gives(
    full: int, worker_pool: Pool
) -> None:
    async with tenant(worker_pool, full) as connection:
        rows = await connection.fetch(
            "SELECT * FROM claim_due($1, 'dhl', 50, interval '60 s', 1)", full
        )
        read = await rows_read(connection, "watch", "watch_due")
    assert len(rows) == 50
    # Candidates of the lesser urgencies, those taken, and of each urgency the first that is left.
    assert read <= 2 * 50


async def test_a_registration_looks_at_no_other_parcel(full: int, app_pool: Pool) -> None:
    renderer = Renderer(Catalogue.load(), CredentialStore(app_pool, SecretKeys((b"k" * 40,))), 30)
    registrar = Registrar(app_pool, renderer, timedelta(days=120))
    ready = await registrar.prepare(full, registration())
    async with tenant(app_pool, full) as connection:
        await registrar.store(full, ready, conn=connection)
        read = await rows_read(
            connection, "parcel", "parcel_pkey", "parcel_current_source"
        ) + await rows_read(
            connection, "tracked_number", "tracked_number_pkey", "tracked_number_current"
        )
    assert read <= 10
