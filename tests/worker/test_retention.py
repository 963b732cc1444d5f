"""Retention: what is past its time goes in pieces, what is not stays, and a kill costs nothing."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.typed import Terminal, terminal
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.cli import database
from milepost.db.pool import Pool, tenant
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings
from milepost.worker import retention
from milepost.worker.retention import Pace, cutoffs, retain, retain_in_turn

ALL_KEPT = {
    name: 0 for name in Settings.model_fields if name.startswith("keep_") and name.endswith("_days")
}


@pytest.fixture
async def parcels(app_pool: Pool, account: int) -> list[int]:
    """Six parcels; on the first four nothing has changed for 400 days."""
    renderer = Renderer(Catalogue.load(), CredentialStore(app_pool, SecretKeys((b"k" * 40,))), 30)
    registrar = Registrar(app_pool, renderer, timedelta(days=120))
    readies = [await registrar.prepare(account, registration()) for _ in range(6)]
    await registrar.register_many(account, readies)
    async with tenant(app_pool, account) as conn:
        ids = [row["parcel_id"] for row in await conn.fetch("SELECT parcel_id FROM parcel")]
        await conn.execute(
            "UPDATE parcel SET updated_at = now() - interval '400 days' WHERE parcel_id = ANY ($1)",
            sorted(ids)[:4],
        )
    return sorted(ids)


async def count(pool: Pool, account_id: int, table: str) -> int:
    async with tenant(pool, account_id) as conn:
        found: int = await conn.fetchval(f"SELECT count(*) FROM {table}")
    return found


def settings(**days: float) -> Settings:
    defaults = Settings(state_dir=Path("/nonexistent"))
    return defaults.model_copy(update=ALL_KEPT | days)


def test_a_kind_kept_for_good_has_no_limit() -> None:
    now = datetime(2026, 7, 1, tzinfo=UTC)
    assert cutoffs(settings(), now) == {}
    assert cutoffs(settings(keep_audit_days=1), now) == {"audit": now - timedelta(days=1)}
    assert set(cutoffs(Settings(state_dir=Path("/nonexistent")), now)) == {
        *retention.FORGET,
        *retention.FORGET_TOLD,
        "raw_payloads",
        "events",
    }


async def test_silent_parcels_are_erased_and_others_stay(
    worker_pool: Pool,
    app_pool: Pool,
    account: int,
    parcels: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    gone = await retain(worker_pool, settings(keep_parcels_days=365), Pace(asyncio.Event()))
    assert gone["parcels"] == 4
    async with tenant(app_pool, account) as conn:
        left = [row["parcel_id"] for row in await conn.fetch("SELECT parcel_id FROM parcel")]
        receipts = await conn.fetch("SELECT parcel_id, actor FROM erasure ORDER BY parcel_id")
    assert sorted(left) == parcels[4:]
    assert [(row["parcel_id"], row["actor"]) for row in receipts] == [
        (parcel_id, "retention") for parcel_id in parcels[:4]
    ]
    for table in ("event", "tracked_number", "watch", "parcel_search"):
        assert await count(app_pool, account, table) == 2, table
    async with tenant(app_pool, account) as conn:
        untold = await conn.fetch("SELECT parcel_id, kind FROM outbox ORDER BY parcel_id")
    kinds = ["erased"] * 4 + ["event"] * 2
    assert [tuple(row) for row in untold] == list(zip(parcels, kinds, strict=True))


async def test_each_kind_goes_at_its_time(
    worker_pool: Pool, app_pool: Pool, account: int, parcels: list[int]
) -> None:
    async with tenant(app_pool, account) as conn:
        await conn.execute("UPDATE outbox SET recorded_at = now() - interval '40 days'")
        await conn.execute(
            "INSERT INTO idempotency_key (account_id, key, fingerprint, created_at) VALUES"
            " ($1, 'old', '', now() - interval '3 days'), ($1, 'new', '', now())",
            account,
        )
        await conn.execute(
            "INSERT INTO audit (account_id, at, actor, action) VALUES"
            " ($1, now() - interval '29 days', 'x', 'y'),"
            " ($1, now() - interval '800 days', 'x', 'y')",
            account,
        )
        await conn.execute(
            "INSERT INTO parcel_timing (account_id, parcel_id, carrier_code, origin_country,"
            " destination_country, registered_at, announced_at) VALUES"
            " ($1, 1, 'c', '', '', now() - interval '4 years', now()),"
            " ($1, 2, 'c', '', '', now(), now())"
            " ON CONFLICT (account_id, parcel_id) DO UPDATE"
            " SET registered_at = excluded.registered_at",
            account,
        )
    kept = await count(app_pool, account, "parcel_timing")
    await worker_pool.execute("SELECT make_raw_payload_months('2020-01-01', 1)")
    async with tenant(app_pool, account) as conn:
        await conn.execute(
            "INSERT INTO raw_payload (account_id, parcel_id, fetched_at, carrier_code,"
            " content_type, payload) VALUES ($1, 1, '2020-01-15Z', 'c', '', ''),"
            " ($1, 1, now(), 'c', '', '')",
            account,
        )
    wanted = settings(
        keep_events_days=30, keep_audit_days=1, keep_timings_days=1095, keep_raw_payloads_days=90
    )
    gone = await retain(worker_pool, wanted, Pace(asyncio.Event()))
    counts = {"answers": 1, "audit": 1, "timings": 1, "raw_payloads": 1, "tokens": 0}
    counts |= {"events": 0, "attempts": 0}
    assert gone == counts
    assert await count(app_pool, account, "raw_payload") == 1
    assert await count(app_pool, account, "audit") == 1, "less than a month is always kept"
    assert await count(app_pool, account, "parcel_timing") == kept - 1
    assert await count(app_pool, account, "parcel") == len(parcels)


async def test_told_to_stop_it_stops_between_two_pieces(
    worker_pool: Pool, account: int, parcels: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    stop = asyncio.Event()
    stop.set()
    gone = await retain(worker_pool, settings(keep_parcels_days=365), Pace(stop))
    assert gone["parcels"] == 1
    assert account
    assert parcels


async def test_one_worker_at_a_time_and_once_an_hour(
    worker_pool: Pool, app_pool: Pool, account: int, parcels: list[int]
) -> None:
    wanted = settings(keep_parcels_days=365)
    stop = asyncio.Event()
    await asyncio.gather(*(retain_in_turn(worker_pool, wanted, stop) for _ in range(4)))
    assert await count(app_pool, account, "parcel") == 2
    row = await worker_pool.fetchrow("SELECT outcome FROM job WHERE name = 'retention'")
    assert row is not None
    assert row["outcome"]["parcels"] == 4
    async with tenant(app_pool, account) as conn:
        await conn.execute("UPDATE parcel SET updated_at = '2000-01-01'")
    await retain_in_turn(worker_pool, wanted, stop)
    assert await count(app_pool, account, "parcel") == 2, "not before the hour is over"
    assert parcels


async def test_killed_in_the_middle_it_goes_on_the_next_time(
    dsn: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    app_pool: Pool,
    account: int,
    parcels: list[int],
) -> None:
    typed: Terminal = terminal(monkeypatch, dsn, tmp_path, [database])
    killed = await typed.process("db", "retention", MILEPOST_FAILPOINT="retention.mid_delete")
    assert killed.returncode == -signal.SIGKILL
    assert await count(app_pool, account, "parcel") == 2
    async with tenant(app_pool, account) as conn:
        await conn.execute(
            "UPDATE parcel SET updated_at = '2000-01-01' WHERE parcel_id = $1", parcels[5]
        )
    gone = await typed.told("db", "retention")
    assert gone["parcels"] == 1
    assert await count(app_pool, account, "parcel") == 1
