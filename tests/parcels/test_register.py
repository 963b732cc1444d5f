import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from tests.parcels.conftest import registration

from milepost.db.pool import Pool, tenant
from milepost.errors import Conflict
from milepost.parcels.draft import draft
from milepost.parcels.find import Reader
from milepost.parcels.register import TAKEN, Registered, Registrar


async def count(pool: Pool, account: int, table: str) -> int:
    async with tenant(pool, account) as conn:
        found: int = await conn.fetchval(f"SELECT count(*) FROM {table}")
        return found


async def end(pool: Pool, account: int, days_ago: int, column: str = "ended_at") -> None:
    async with tenant(pool, account) as conn:
        await conn.execute(f"UPDATE parcel SET {column} = now() - $1 * interval '1 day'", days_ago)


async def test_a_registration_is_one_parcel_one_event_one_plan(
    app_pool: Pool, account: int, registrar: Registrar
) -> None:
    answer = orjson.loads(await registrar.register(account, registration()))
    assert answer["parent_status"] == "announced"
    for table in ("parcel", "tracked_number", "event", "watch", "lane", "outbox"):
        assert await count(app_pool, account, table) == 1, table


async def test_the_one_event_is_ours_and_says_announced(
    account: int, registrar: Registrar, reader: Reader
) -> None:
    given = registration()
    await registrar.register(account, given)
    snapshot = await reader.read(account, given.tracking_number, None, 1)
    assert snapshot is not None
    (event,) = orjson.loads(snapshot.body)["events"]
    assert (event["event_type"], event["status_code"]) == ("internal", "announced")
    assert event["event_at"] == "2026-03-01T09:00:00Z"
    in_v2 = await reader.read(account, given.tracking_number, None, 1, "v2")
    assert in_v2 is not None
    (status,) = orjson.loads(in_v2.body)["statuses"]
    assert (status["carrier_code"], status["carrier_message"]) == ("", "Announced")


@pytest.mark.parametrize(
    "again",
    [
        {"source_id": "other"},
        {"tracking_number": "other"},
        {"tracking_number": " jvgl 00009999 ", "source_id": "third"},
    ],
)
async def test_number_and_source_id_are_taken(
    account: int, registrar: Registrar, again: dict[str, Any], app_pool: Pool
) -> None:
    first: dict[str, Any] = {"tracking_number": "JVGL00009999", "source_id": "mine"}
    await registrar.register(account, registration(**first))
    with pytest.raises(Conflict, match=TAKEN):
        await registrar.register(account, registration(**(first | again)))
    assert await count(app_pool, account, "parcel") == 1
    assert await count(app_pool, account, "event") == 1


async def test_the_same_number_may_live_at_two_carriers_and_without_source_id(
    account: int, registrar: Registrar, app_pool: Pool
) -> None:
    for carrier in ("dhl", "postnl"):
        await registrar.register(
            account, registration(tracking_number="SAME", carrier_code=carrier, source_id="")
        )
    assert await count(app_pool, account, "parcel") == 2


@pytest.mark.parametrize("column", ["ended_at", "stopped_at"])
async def test_a_number_is_free_again_120_days_after_its_parcel_was_over(
    account: int, registrar: Registrar, reader: Reader, app_pool: Pool, column: str
) -> None:
    mine = {"tracking_number": "AGAIN1", "source_id": "s"}
    await registrar.register(account, registration(**mine))
    await end(app_pool, account, 119, column)
    with pytest.raises(Conflict):
        await registrar.register(account, registration(**mine))
    await end(app_pool, account, 121, column)
    await registrar.register(account, registration(**mine))
    assert await count(app_pool, account, "parcel") == 2
    newest = await reader.parcel_id(account, "again1")
    async with tenant(app_pool, account) as conn:
        newest_id = await conn.fetchval("SELECT max(parcel_id) FROM parcel WHERE is_current")
    assert newest == newest_id


async def test_a_refused_registration_does_not_retire_the_old_parcel(
    account: int, registrar: Registrar, app_pool: Pool
) -> None:
    """The number is free, the source_id is not: nothing at all may change."""
    await registrar.register(account, registration(tracking_number="OLD", source_id="a"))
    await end(app_pool, account, 200)
    await registrar.register(account, registration(tracking_number="NEW", source_id="b"))
    with pytest.raises(Conflict):
        await registrar.register(account, registration(tracking_number="OLD", source_id="b"))
    async with tenant(app_pool, account) as conn:
        assert await conn.fetchval("SELECT count(*) FROM parcel WHERE is_current") == 2
        assert await conn.fetchval("SELECT count(*) FROM tracked_number WHERE is_current") == 2


async def test_rows_of_one_call_take_no_more_than_one_after_the_other(
    account: int, registrar: Registrar, app_pool: Pool
) -> None:
    """The second row's number is the first one's by then, so it frees no source_id."""
    for number, source in (("A", "a"), ("B", "b")):
        await registrar.register(account, registration(tracking_number=number, source_id=source))
    await end(app_pool, account, 200)
    given = [
        registration(tracking_number="A", source_id="new"),
        registration(tracking_number="A", source_id="b"),
        registration(tracking_number="C", source_id="new"),
    ]
    readies = [await registrar.prepare(account, one) for one in given]
    first, second, third = await registrar.register_many(account, readies)
    assert isinstance(first, Registered)
    for refused, field in ((second, "tracking_number"), (third, "source_id")):
        assert isinstance(refused, Conflict)
        assert refused.field[-1] == field
        assert refused.parcel_id == first.parcel_id
    async with tenant(app_pool, account) as conn:
        current = await conn.fetch("SELECT source_id FROM parcel WHERE is_current ORDER BY 1")
    assert [row["source_id"] for row in current] == ["b", "new"]


@pytest.mark.parametrize("guarded", [True, False])
async def test_fifty_at_once_make_one_parcel(
    account: int, registrar: Registrar, app_pool: Pool, admin_dsn: str, guarded: bool
) -> None:
    """Without the unique index (the planted bug) the same storm makes more than one."""
    if not guarded:
        await drop_uniqueness(admin_dsn)
    ready = await registrar.prepare(account, registration(tracking_number="STORM", source_id=""))
    calls = await asyncio.gather(*(registrar.register_many(account, [ready]) for _ in range(50)))
    results = [result for call in calls for result in call]
    made = sum(isinstance(result, Registered) for result in results)
    refused = sum(isinstance(result, Conflict) for result in results)
    assert made + refused == 50
    assert (made == 1) is guarded
    assert await count(app_pool, account, "parcel") == made


async def drop_uniqueness(dsn: str) -> None:
    import asyncpg

    conn = await asyncpg.connect(dsn)
    await conn.execute("DROP INDEX tracked_number_current")
    await conn.close()


@pytest.fixture
def admin_dsn(dsn: str) -> str:
    return dsn


async def test_a_missing_contract_id_is_one_integer_per_carrier(
    account: int, registrar: Registrar
) -> None:
    contracts = []
    for carrier in ("dhl", "dhl", "postnl"):
        answer = await registrar.register(account, registration(carrier_code=carrier))
        contracts.append(orjson.loads(answer)["ship_with"]["properties"]["contract_id"])
    assert contracts[0] == contracts[1] != contracts[2]
    assert all(isinstance(one, int) and one >= 1 for one in contracts)


async def test_a_given_contract_id_is_kept(account: int, registrar: Registrar) -> None:
    ship_with = {"type": "contract", "properties": {"contract_id": 517}}
    answer = await registrar.register(account, registration(ship_with=ship_with))
    assert orjson.loads(answer)["ship_with"] == ship_with


@pytest.mark.parametrize(
    ("carrier", "state"),
    [
        ("dhl", "waiting_for_credentials"),
        ("yodel", "not_supported"),
        ("somebody_new", "not_supported"),
        ("sandbox", "watching"),
    ],
)
async def test_nobody_who_is_not_asked_looks_merely_quiet(
    account: int, registrar: Registrar, carrier: str, state: str
) -> None:
    answer = await registrar.register(account, registration(carrier_code=carrier))
    monitoring = orjson.loads(answer)["monitoring"]
    assert monitoring["state"] == state
    assert monitoring["reason"]


async def test_an_odd_number_is_taken_with_a_warning(account: int, registrar: Registrar) -> None:
    answer = await registrar.register(account, registration(tracking_number="NOT-A-DHL-NUMBER"))
    (warning,) = orjson.loads(answer)["warnings"]
    assert set(warning) == {"code", "message"}


async def test_what_was_drafted_long_ago_is_registered_now(
    account: int, registrar: Registrar, app_pool: Pool
) -> None:
    """An import that waited for its database: who follows changes would look past its parcels."""
    ready = await registrar.prepare(account, registration())
    early = timedelta(days=30)
    (old,) = draft(account, [ready], datetime.now(UTC) - timedelta(minutes=1), early)
    (stored,) = await registrar.store_drafts(account, registrar.fresh(account, [old]))
    assert isinstance(stored, Registered)
    async with tenant(app_pool, account) as conn:
        row = await conn.fetchrow(
            "SELECT now() - p.created_at AS parcel, now() - e.recorded_at AS event "
            "FROM parcel p JOIN event e USING (account_id, parcel_id)"
        )
    assert row is not None
    assert max(row) < timedelta(seconds=30)
    assert datetime.now(UTC) - stored.describe().created_at < timedelta(seconds=30)
