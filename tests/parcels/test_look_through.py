"""Going through parcels once: words where they lack, counts that add up, whoever does it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.parcels.conftest import registration

from milepost.db.jobs import only_one
from milepost.db.pool import Pool, tenant
from milepost.parcels import look_through
from milepost.parcels.listing import Asked, Filters, list_parcels
from milepost.parcels.look_through import look_further
from milepost.parcels.register import Registrar
from milepost.parcels.usage import shipping_options, usage_of

AN_HOUR_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_through, "BATCH", 3)


async def registered(
    pool: Pool, registrar: Registrar, account: int, count: int, at: datetime = AN_HOUR_AGO
) -> None:
    """Parcels registered some time ago by the version before, which knew no words."""
    for _ in range(count):
        await registrar.register(account, registration())
    async with tenant(pool, account) as connection:
        await connection.execute("DELETE FROM parcel_search")
        await connection.execute("UPDATE parcel SET created_at = $1", at)


async def with_words(pool: Pool, account: int) -> int:
    return len((await list_parcels(pool, account, Asked(Filters(text="mira")))).parcel_ids)


async def counted(pool: Pool, account: int) -> int:
    (option,) = await shipping_options(pool, account)
    usage = await usage_of(pool, account, 2)
    assert sum(one.parcels for one in usage.registered) == option.parcels
    assert (option.code, option.carrier_code) == ("dhl:parcel", "dhl")
    return option.parcels


async def all_steps(pool: Pool, account: int) -> list[int]:
    steps = []
    while step := await look_further(pool, account):
        steps.append(step)
    return steps


async def test_words_and_counts_come_in_steps_and_once(
    account: int, app_pool: Pool, worker_pool: Pool, registrar: Registrar
) -> None:
    await registered(app_pool, registrar, account, 7)
    assert (await with_words(app_pool, account), await counted(app_pool, account)) == (0, 7)
    assert await look_further(worker_pool, account) == 3
    # The same number is told whether all, some or none were counted yet.
    assert (await with_words(app_pool, account), await counted(app_pool, account)) == (3, 7)
    assert await all_steps(worker_pool, account) == [3, 1]
    assert await all_steps(worker_pool, account) == []
    assert (await with_words(app_pool, account), await counted(app_pool, account)) == (7, 7)


async def test_workers_at_once_count_nothing_twice(
    account: int, app_pool: Pool, worker_pool: Pool, registrar: Registrar
) -> None:
    await registered(app_pool, registrar, account, 8)
    await asyncio.gather(*(all_steps(worker_pool, account) for _ in range(4)))
    await all_steps(worker_pool, account)
    assert (await with_words(app_pool, account), await counted(app_pool, account)) == (8, 8)


async def test_what_was_just_registered_waits(
    account: int, app_pool: Pool, worker_pool: Pool, registrar: Registrar
) -> None:
    """One that commits later may have a smaller id, and would be passed over."""
    await registered(app_pool, registrar, account, 2, datetime.now(UTC))
    assert await look_further(worker_pool, account) == 0
    assert await counted(app_pool, account) == 2


async def test_words_of_a_parcel_that_changed_meanwhile_are_left_alone(
    account: int, app_pool: Pool, worker_pool: Pool, registrar: Registrar
) -> None:
    await registered(app_pool, registrar, account, 2)
    rows = await worker_pool.fetch("SELECT * FROM unseen_parcels($1, 9)", account)
    async with tenant(app_pool, account) as connection:
        await connection.execute(
            "UPDATE parcel SET revision = revision + 1 WHERE parcel_id = $1", rows[0]["parcel_id"]
        )
    words = [
        {"parcel_id": row["parcel_id"], "revision": row["revision"], "words": [f"{account}:mira"]}
        for row in rows
    ]
    keep = "SELECT keep_seen($1, $2, $3, $4)"
    upto = rows[-1]["parcel_id"]
    assert await worker_pool.fetchval(keep, account, 0, upto, words)
    assert not await worker_pool.fetchval(keep, account, 0, upto, words)
    assert await with_words(app_pool, account) == 1


async def test_one_process_goes_through_all_accounts(
    account: int, admin_pool: Pool, app_pool: Pool, worker_pool: Pool, registrar: Registrar
) -> None:
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    for one in (account, other):
        await registered(app_pool, registrar, one, 4)
    await look_through.look_through_in_turn(worker_pool)
    assert [await with_words(app_pool, one) for one in (account, other)] == [4, 4]
    assert await admin_pool.fetchval("SELECT outcome ->> 'parcels' FROM job") == "8"
    async with only_one(worker_pool, "look_through", 9, every=300) as turn:
        assert turn is None, "it was done a moment ago"


async def test_watched_are_those_that_somebody_asks_about(
    account: int, app_pool: Pool, registrar: Registrar
) -> None:
    for carrier in ("sandbox", "sandbox", "postnl"):
        await registrar.register(account, registration(carrier_code=carrier))
    async with tenant(app_pool, account) as connection:
        await connection.execute(
            "UPDATE lane SET turn_at = 'infinity' WHERE carrier_code = 'postnl'"
        )
    assert (await usage_of(app_pool, account, 1)).watched == {"sandbox": 2}
