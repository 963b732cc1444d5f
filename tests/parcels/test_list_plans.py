"""A page reads about as many rows as it shows, however many parcels the account has."""

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from milepost.db.pool import Pool, open_pool, tenant
from milepost.parcels import listing
from milepost.parcels.cursor import Place
from milepost.parcels.listing import MOST_SORTED, Asked, Filters, page_query, words_of
from milepost.settings import Settings

EACH = 12_000
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MOST_ROWS = 1_500
"""Read for a page of 50: what a rare value has in all, or a walk past some that don't match."""
FILL = """
INSERT INTO parcel (
    account_id, carrier_code, tracking_number, source_id, request, announced_at, created_at,
    updated_at, phase, exception, status_type, sub_status, status, status_at, ended_at)
SELECT a, CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'dhl' END, 'N' || n, 'order-' || n,
    '{}', $1 - n * 7919 % $2 * interval '1 min', $1 - n * interval '1 min',
    $1 - n * interval '30 s',
    CASE WHEN n % 1000 = 1 THEN 'pup' ELSE 'delivered' END,
    CASE WHEN n % 1000 = 2 THEN 'damaged' ELSE 'none' END, 'success', 'none',
    CASE n % 1000 WHEN 3 THEN 'EXCEPTION' WHEN 1 THEN 'AWAITING_CUSTOMER_PICKUP'
        ELSE 'DELIVERED' END, $1,
    CASE WHEN n % 1000 <> 4 THEN $1 - n * interval '20 s' END
FROM (VALUES (1), (2)) AS v (a), generate_series(1, $2::integer) AS n
"""
WORDS = """
INSERT INTO parcel_search (account_id, parcel_id, words)
SELECT account_id, parcel_id, array_to_tsvector(ARRAY[
    account_id || '/carrier:' || carrier_code,
    account_id || ':' || lower(tracking_number), account_id || ':person',
    account_id || CASE WHEN parcel_id % 2000 = 0 THEN '/to:mt' ELSE '/to:nl' END])
FROM parcel
"""
LISTS = {
    "all": Asked(Filters()),
    "oldest first": Asked(Filters(), descending=False),
    "by change": Asked(Filters(), "updated_at"),
    "by end": Asked(Filters(), "ended_at"),
    "changed since": Asked(Filters(updated_from=NOW - 20 * MINUTE), "updated_at", False),
    "changed since, by registration": Asked(Filters(updated_from=NOW - 20 * MINUTE)),
    "registered then": Asked(
        Filters(created_from=NOW - 9000 * MINUTE, created_to=NOW - 8900 * MINUTE)
    ),
    "announced then": Asked(
        Filters(announced_from=NOW - 9000 * MINUTE, announced_to=NOW - 8900 * MINUTE)
    ),
    "announced before": Asked(Filters(announced_to=NOW - 11_900 * MINUTE)),
    "announced since": Asked(Filters(announced_from=NOW - 20 * MINUTE)),
    "announced since, by change": Asked(Filters(announced_from=NOW - 20 * MINUTE), "updated_at"),
    "ended then": Asked(Filters(ended_from=NOW - 2000 * MINUTE, ended_to=NOW - 1990 * MINUTE)),
    "a rare status": Asked(Filters(statuses=("EXCEPTION",))),
    "two rare statuses": Asked(Filters(statuses=("EXCEPTION", "CANCELLED"))),
    "a rare status by change": Asked(Filters(statuses=("EXCEPTION",)), "updated_at"),
    "a common status": Asked(Filters(statuses=("DELIVERED",))),
    "a rare phase": Asked(Filters(phases=("pup",))),
    "an exception": Asked(Filters(exceptions=("damaged",))),
    "a common phase": Asked(Filters(phases=("delivered",))),
    "a rare carrier": Asked(Filters(carriers=("rare",))),
    "a common carrier": Asked(Filters(carriers=("dhl",))),
    "under way": Asked(Filters(active=True)),
    "a number": Asked(Filters(text="n4711")),
    "a word of everybody": Asked(Filters(text="person")),
    "a word of everybody, a rare status": Asked(Filters(text="person", statuses=("EXCEPTION",))),
    "a rare country": Asked(Filters(to_countries=("MT",))),
    "a common country": Asked(Filters(to_countries=("NL",))),
}


@pytest.fixture
async def filled(dsn: str, settings: Settings) -> AsyncIterator[Pool]:
    """Two accounts with many parcels each."""
    owner = await asyncpg.connect(dsn)
    await owner.execute("INSERT INTO account (name) VALUES ('one'), ('two')")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(FILL.replace("$1", f"'{NOW}'::timestamptz").replace("$2", str(EACH)))
    await owner.execute(WORDS)
    await owner.execute("VACUUM ANALYZE parcel, parcel_search")
    await owner.close()
    async with await open_pool(dsn, "milepost_app", settings) as pool:
        yield pool


def rows_read(plan: dict[str, Any]) -> float:
    """Rows that the scans of a plan touched, those thrown away included."""
    below = sum(rows_read(part) for part in plan.get("Plans", ()))
    if "Relation Name" not in plan:
        return below
    thrown = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return below + float((plan["Actual Rows"] + thrown) * plan["Actual Loops"])


async def reads(pool: Pool, asked: Asked, after: Place | None = None) -> float:
    """The rows read for a page, beside those of the index on words."""
    query = page_query(1, asked, after)
    async with tenant(pool, 1) as connection:
        await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        if words := words_of(1, asked.filters):
            matching = await listing._matching(connection, 1, words)
            query.match(words, matching if len(matching) <= MOST_SORTED else None)
        found = await connection.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query.sql()}", *query.values
        )
    return rows_read(json.loads(found)[0]["Plan"])


async def test_no_page_reads_the_whole_account(dsn: str, filled: Pool) -> None:
    told = {name: await reads(filled, asked) for name, asked in LISTS.items()}
    assert {name: rows for name, rows in told.items() if rows > MOST_ROWS} == {}
    # Deep in the list as well as at its beginning.
    deep = Place(NOW - 9000 * MINUTE, 1)
    assert await reads(filled, LISTS["all"], deep) <= MOST_ROWS
    assert await reads(filled, LISTS["a common status"], deep) <= MOST_ROWS

    # The planted faults: without their indexes the guard sees it.
    owner = await asyncpg.connect(dsn)
    await owner.execute("DROP INDEX parcel_status, parcel_updated, parcel_announced")
    await owner.close()
    assert await reads(filled, LISTS["a rare status"]) > MOST_ROWS
    assert await reads(filled, LISTS["by change"]) > MOST_ROWS
    assert await reads(filled, LISTS["announced then"]) > MOST_ROWS


async def test_words_are_looked_up_in_their_index(dsn: str, filled: Pool) -> None:
    """As the role that owns ``search_parcels``: under a policy of its account it could not."""
    statement = (
        "EXPLAIN SELECT s.parcel_id FROM parcel_search s "
        "WHERE s.account_id = 1 AND s.words @@ '''1:n4711'''::tsquery"
    )
    used = {}
    for role in ("milepost_admin", "milepost_app"):
        connection = await asyncpg.connect(dsn, server_settings={"role": role})
        await connection.execute("SET milepost.account_id = '1'")
        rows = await connection.fetch(statement)
        used[role] = any("parcel_search_words" in row[0] for row in rows)
        await connection.close()
    assert used == {"milepost_admin": True, "milepost_app": False}
    owned = "SELECT proowner = 'milepost_admin'::regrole FROM pg_proc WHERE proname = $1"
    assert await filled.fetchval(owned, "search_parcels")
    may_create = "SELECT has_schema_privilege('milepost_admin', 'public', 'CREATE')"
    assert not await filled.fetchval(may_create)


def test_every_sort_and_filter_is_tried() -> None:
    named = {
        field.name
        for asked in LISTS.values()
        for field in dataclasses.fields(Filters)
        if getattr(asked.filters, field.name) != field.default
    }
    # No index of their own: codes are words.
    without = {"source_id", "order_number", "from_countries"}
    assert named | without | {"updated_to"} == {field.name for field in dataclasses.fields(Filters)}
