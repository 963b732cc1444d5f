"""The carriers' own answers: packed, by the month, of one parcel alone."""

import zlib
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.parcels.conftest import registration
from tests.tracking.order_free import START, poll, scan_at

from milepost.db.pool import Pool, tenant
from milepost.parcels import raw_payloads
from milepost.parcels.apply import News
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer

MONTHS = """SELECT count(*) FROM pg_inherits WHERE inhparent = 'raw_payload'::regclass"""


async def record(recorder: Recorder, account: int, parcel: int, raw: bytes, minute: int) -> None:
    await recorder.record(
        account,
        parcel,
        poll(minute / 60 + 1, scan_at(minute, "A", "sorted")),
        START + timedelta(minutes=minute),
        lambda _journey, _parcel: None,
        news=News(raw=raw, raw_type="text/xml"),
    )


@pytest.fixture
async def parcel(account: int, registrar: Registrar, app_pool: Pool) -> int:
    await registrar.register(account, registration())
    async with tenant(app_pool, account) as conn:
        return int(await conn.fetchval("SELECT parcel_id FROM parcel"))


async def test_an_answer_is_kept_with_what_it_changed(
    account: int, parcel: int, worker_pool: Pool, renderer: Renderer
) -> None:
    recorder = Recorder(worker_pool, renderer, raw_bytes=1_000)
    await record(recorder, account, parcel, b"<a/>" * 5_000, 60)
    await record(recorder, account, parcel, bytes(range(256)) * 40, 120)
    kept = await raw_payloads.read(worker_pool, account, parcel)
    assert [(one.content_type, one.body[:8], len(one.body)) for one in kept] == [
        ("text/xml", b"<a/><a/>", 20_000),
        ("text/xml", bytes(range(8)), 10_240),
    ]
    packed = "SELECT max(octet_length(payload)) FROM raw_payload"
    async with tenant(worker_pool, account) as conn:
        assert await conn.fetchval(packed) < 1_000
    assert await raw_payloads.read(worker_pool, account + 1, parcel) == []


async def test_a_long_answer_is_not_kept_and_none_where_it_is_switched_off(
    account: int, parcel: int, worker_pool: Pool, renderer: Renderer
) -> None:
    small, off = (Recorder(worker_pool, renderer, raw_bytes=most) for most in (40, 0))
    await record(small, account, parcel, bytes(range(256)), 60)
    await record(off, account, parcel, b"x", 120)
    assert await raw_payloads.read(worker_pool, account, parcel) == []


async def test_months_are_made_ahead_and_dropped_as_a_whole(
    account: int, parcel: int, worker_pool: Pool
) -> None:
    assert await worker_pool.fetchval(MONTHS) == 1, "the net"
    assert await raw_payloads.make_months(worker_pool) == raw_payloads.MONTHS_AHEAD
    assert await raw_payloads.make_months(worker_pool) == 0
    now = datetime.now(UTC)
    async with tenant(worker_pool, account) as conn:
        for at in (now, now - timedelta(days=100)):
            await conn.execute(
                "INSERT INTO raw_payload VALUES ($1, $2, $3, 'dhl', 'text/xml', $4)",
                account,
                parcel,
                at,
                zlib.compress(b"x"),
            )
        in_the_net = "SELECT count(*) FROM raw_payload WHERE tableoid::regclass::text ~ 'rest'"
        assert await conn.fetchval(in_the_net) == 1
    assert await raw_payloads.drop_months(worker_pool, now - timedelta(days=90)) == 0
    assert len(await raw_payloads.read(worker_pool, account, parcel)) == 1
    next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    assert await raw_payloads.drop_months(worker_pool, next_month) == 1
    assert await raw_payloads.read(worker_pool, account, parcel) == []
    assert await worker_pool.fetchval(MONTHS) == raw_payloads.MONTHS_AHEAD


async def test_a_month_that_began_in_the_net_stays_there(
    account: int, parcel: int, worker_pool: Pool
) -> None:
    async with tenant(worker_pool, account) as conn:
        await conn.execute(
            "INSERT INTO raw_payload VALUES ($1, $2, now(), 'dhl', 'text/xml', '')", account, parcel
        )
    assert await raw_payloads.make_months(worker_pool) == raw_payloads.MONTHS_AHEAD - 1


async def test_a_part_is_read_through_the_table_alone(app_pool: Pool, worker_pool: Pool) -> None:
    await raw_payloads.make_months(worker_pool)
    part = f"raw_payload_{datetime.now(UTC):%Y_%m}"
    for pool in (app_pool, worker_pool):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await pool.fetch(f"SELECT * FROM {part}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_pool.execute("SELECT drop_raw_payload_months(now())")
