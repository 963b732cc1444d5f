"""What an account had of late: its own alone, the latest alone, and by an index."""

import json
from typing import Any

import pytest
from tests.conftest import execute

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, tenant
from milepost.parcels.find import QUERIES
from milepost.parcels.recognition import PARCELS, UNSCANNED, Recognitions

NUMBER = "05162815323093"


def parcels(account: int, code: str, country: str, count: int, *, scanned: bool = True) -> str:
    at = "now()" if scanned else "NULL"
    return f"""
        INSERT INTO parcel (
            account_id, parcel_id, carrier_code, tracking_number, request, announced_at,
            created_at, updated_at, phase, exception, status_type, sub_status, status, status_at,
            first_scan_at)
        SELECT {account}, nextval('parcel_parcel_id_seq'), '{code}', n::text,
               '{{"to_address": {{"country_code": "{country}"}}}}', now(), now(), now(),
               'announced', 'none', 'success', 'none', 'announced', now(), {at}
        FROM generate_series(1, {count}) AS n"""


@pytest.fixture
def recognitions(app_pool: Pool) -> Recognitions:
    return Recognitions(app_pool, Catalogue.load())


async def best(recognitions: Recognitions, account: int, country: str = "NL") -> str | None:
    told = await recognitions.of(account, NUMBER, destination=country)
    return told.best.carrier_code if told.best else None


async def test_it_is_the_accounts_own(
    dsn: str, account: int, recognitions: Recognitions, admin_pool: Pool
) -> None:
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    await execute(dsn, parcels(other, "gls_nl", "NL", 300))
    assert await best(recognitions, account) is None
    assert await best(recognitions, other) == "gls_nl"
    assert await best(recognitions, other, "DE") is None


async def test_parcels_that_nobody_scanned_count_less(
    dsn: str, account: int, app_pool: Pool
) -> None:
    await execute(
        dsn,
        parcels(account, "gls_nl", "NL", 40, scanned=False),
        parcels(account, "dpd", "BE", 5),
    )
    history = await Recognitions(app_pool, Catalogue.load())._read(account)
    assert history.parcels == {("gls_nl", "NL"): 40 * UNSCANNED, ("dpd", "BE"): 5.0}


async def test_the_latest_alone_are_read_and_by_an_index(
    dsn: str, account: int, app_pool: Pool
) -> None:
    await execute(
        dsn,
        parcels(account, "dpd", "NL", 5000),
        parcels(account, "gls_nl", "NL", PARCELS),
        "ANALYZE parcel",
    )
    history = await Recognitions(app_pool, Catalogue.load())._read(account)
    assert history.parcels == {("gls_nl", "NL"): float(PARCELS)}
    async with tenant(app_pool, account) as conn:
        query = QUERIES.carriers_of_late.sql
        plan = await conn.fetchval(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", account, PARCELS
        )
    found = list(nodes(json.loads(plan)[0]["Plan"]))
    scan = next(one for one in found if one.get("Relation Name") == "parcel")
    assert scan["Node Type"] == "Index Scan"
    assert scan["Index Name"] == "parcel_pkey"
    assert scan["Actual Rows"] == PARCELS


def nodes(plan: dict[str, Any]) -> Any:
    yield plan
    for one in plan.get("Plans", ()):
        yield from nodes(one)
