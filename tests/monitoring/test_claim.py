"""Claims: leases, fences, fairness between urgencies and between accounts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, tenant
from milepost.monitoring.claim import Lane, claim, due_lanes, pause, wake
from milepost.monitoring.sweep import sweep
from milepost.parcels.record import Recorder, WatchPlan
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.tracking.events import Observation

LEASE = timedelta(seconds=60)


@pytest.fixture
def renderer(app_pool: Pool, secret_keys: SecretKeys) -> Renderer:
    return Renderer(Catalogue.load(), CredentialStore(app_pool, secret_keys), 30)


@pytest.fixture
def registrar(app_pool: Pool, renderer: Renderer) -> Registrar:
    return Registrar(app_pool, renderer, timedelta(days=120))


async def parcels(registrar: Registrar, account: int, count: int) -> Lane:
    for _ in range(count):
        await registrar.register(account, registration(carrier_code="sandbox"))
    return Lane(account, "sandbox")


async def expire_leases(pool: Pool, account: int) -> None:
    async with tenant(pool, account) as conn:
        await conn.execute("UPDATE watch SET due_at = now(), lease_until = now()")


async def test_a_row_is_claimed_once_until_its_lease_ends(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 3)
    first = await claim(worker_pool, lane, 2, LEASE)
    second = await claim(worker_pool, lane, 2, LEASE)
    assert len(first) == 2
    assert len(second) == 1
    assert not {row.parcel_id for row in first} & {row.parcel_id for row in second}
    assert await claim(worker_pool, lane, 2, LEASE) == []
    await expire_leases(worker_pool, account)
    again = await claim(worker_pool, lane, 50, LEASE)
    assert {row.fence for row in again} == {2}


async def test_the_version_before_claims_as_it_did(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 3)
    before = "SELECT * FROM claim_checks($1, $2, 2, $3)"
    assert len(await worker_pool.fetch(before, account, lane.carrier_code, LEASE)) == 2
    assert len(await claim(worker_pool, lane, 50, LEASE)) == 1


async def test_twenty_claims_at_once_share_the_rows_out(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 40)
    claims = await asyncio.gather(*(claim(worker_pool, lane, 3, LEASE) for _ in range(20)))
    taken = [row.parcel_id for rows in claims for row in rows]
    assert len(taken) == len(set(taken)) == 40


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_worker_that_slept_through_its_lease_writes_nothing(
    account: int, registrar: Registrar, worker_pool: Pool, renderer: Renderer, fenced: bool
) -> None:
    """Without the fence (the planted bug) the sleeper's plan goes over the other's."""
    lane = await parcels(registrar, account, 1)
    (sleeper,) = await claim(worker_pool, lane, 1, LEASE)
    await expire_leases(worker_pool, account)
    (other,) = await claim(worker_pool, lane, 1, LEASE)
    assert other.fence > sleeper.fence
    recorded = await Recorder(worker_pool, renderer).record(
        account,
        sleeper.parcel_id,
        Observation("sandbox", "poll", datetime.now(UTC), ()),
        datetime.now(UTC),
        lambda _journey, _parcel: WatchPlan(0, 9999, 0, "aa"),
        fence=sleeper.fence if fenced else None,
    )
    async with tenant(worker_pool, account) as conn:
        urgency = await conn.fetchval("SELECT urgency FROM watch")
    assert recorded.fenced is fenced
    assert (urgency != 0) is fenced


async def test_a_stale_quiet_finish_changes_nothing(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 1)
    (row,) = await claim(worker_pool, lane, 1, LEASE)

    def finish(fence: int) -> dict[str, Any]:
        return {
            "parcel_id": row.parcel_id,
            "fence": fence,
            "urgency": 0,
            "due_in": 5.0,
            "misses": 0,
            "answer_hash": "",
            "checked": True,
        }

    statement = "SELECT finish_checks($1, $2, $3)"
    assert await worker_pool.fetchval(statement, account, "sandbox", [finish(row.fence - 1)]) == 0
    assert await worker_pool.fetchval(statement, account, "sandbox", [finish(row.fence)]) == 1


async def test_the_most_urgent_go_first_but_a_quarter_is_for_the_others(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 40)
    async with tenant(worker_pool, account) as conn:
        await conn.execute(
            "UPDATE watch SET urgency = CASE WHEN parcel_id % 2 = 0 THEN 0 ELSE 2 END"
        )
        urgent = {
            row["parcel_id"] for row in await conn.fetch("SELECT * FROM watch WHERE urgency = 0")
        }
    taken = {row.parcel_id for row in await claim(worker_pool, lane, 12, LEASE)}
    assert len(taken & urgent) == 9
    assert len(taken - urgent) == 3


async def test_a_quarter_is_for_the_others_where_a_quota_gives_one_slot_at_a_time(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 40)
    async with tenant(worker_pool, account) as conn:
        await conn.execute("UPDATE watch SET urgency = 2 * (parcel_id % 2)")
    taken = [(await claim(worker_pool, lane, 1, LEASE))[0].parcel_id for _ in range(16)]
    assert sum(parcel_id % 2 for parcel_id in taken) == 4


SOON = """
UPDATE watch SET last_checked_at = now() - interval '90 min', urgency = parcel_id % 3,
    due_at = now() + CASE WHEN rank <= 7 THEN interval '0' ELSE rank * interval '1 min' END
FROM (SELECT parcel_id AS number, rank() OVER (ORDER BY parcel_id) FROM watch) AS ranked
WHERE parcel_id = number
"""


@pytest.mark.parametrize(
    ("change", "taken_along"),
    [
        ("", [8, 9, 10]),
        ("lease_until = now() + interval '8 min', fence = 1 WHERE rank = 8", [9, 10, 11]),
        ("urgency = 3 WHERE rank = 9", [8, 10, 11]),
        ("last_checked_at = now() - interval '20 min' WHERE rank >= 9", [8]),
    ],
    ids=["due soonest", "another's", "the last look", "asked just now"],
)
async def test_a_request_with_room_takes_along_what_is_due_soon(
    account: int, registrar: Registrar, worker_pool: Pool, change: str, taken_along: list[int]
) -> None:
    lane = await parcels(registrar, account, 20)
    async with tenant(worker_pool, account) as conn:
        ids = [row[0] for row in await conn.fetch("SELECT parcel_id FROM watch ORDER BY parcel_id")]
        await conn.execute(SOON)
        if change:
            # Ids may have gaps: a registration that was refused has taken some.
            named = change.replace("rank", f"array_position(ARRAY{ids}::bigint[], parcel_id)")
            await conn.execute(f"UPDATE watch SET {named}")
    rows = await claim(worker_pool, lane, 50, LEASE, batch=10)
    assert sorted(ids.index(row.parcel_id) + 1 for row in rows) == [*range(1, 8), *taken_along]
    assert len(await claim(worker_pool, lane, 50, LEASE)) == 0, "without due ones nobody is asked"


async def test_a_row_that_somebody_else_held_during_a_claim_keeps_its_lane_due(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    """A push, say, gives it back as due as it was, and plans no turn for it."""
    lane = await parcels(registrar, account, 3)
    async with tenant(worker_pool, account) as holder:
        held = await holder.fetchval(
            "UPDATE watch SET due_at = due_at - interval '10 s' "
            "WHERE parcel_id = (SELECT min(parcel_id) FROM watch) RETURNING parcel_id"
        )
    async with tenant(worker_pool, account) as holder:
        await holder.execute("UPDATE watch SET next_deadline_at = now() WHERE parcel_id = $1", held)
        assert len(await claim(worker_pool, lane, 50, LEASE)) == 2
    assert await due_lanes(worker_pool, 10) == [lane]
    assert [row.parcel_id for row in await claim(worker_pool, lane, 50, LEASE)] == [held]
    assert await due_lanes(worker_pool, 10) == []


async def test_lanes_take_turns_so_that_a_big_merchant_starves_nobody(
    account: int, admin_pool: Pool, registrar: Registrar, worker_pool: Pool
) -> None:
    small = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('small') RETURNING account_id"
    )
    big_lane = await parcels(registrar, account, 120)
    small_lane = await parcels(registrar, small, 1)
    turns: list[Lane] = []
    for _ in range(3):
        lane = (await due_lanes(worker_pool, 1))[0]
        turns.append(lane)
        await claim(worker_pool, lane, 50, LEASE)
    assert turns[:2] == [big_lane, small_lane]


async def test_a_paused_lane_is_not_due_until_then(
    account: int, registrar: Registrar, worker_pool: Pool
) -> None:
    lane = await parcels(registrar, account, 1)
    await pause(worker_pool, lane, "open", timedelta(minutes=5))
    assert await due_lanes(worker_pool, 10) == []
    await parcels(registrar, account, 1)
    assert await due_lanes(worker_pool, 10) == [], "a registration must not end the pause"
    await wake(worker_pool, lane)
    assert await due_lanes(worker_pool, 10) == [lane]


async def test_the_sweep_mends_turns_and_opens_lanes_whose_reason_is_gone(
    account: int, registrar: Registrar, worker_pool: Pool, secret_keys: SecretKeys
) -> None:
    lane = await parcels(registrar, account, 1)
    catalogue, credentials = Catalogue.load(), CredentialStore(worker_pool, secret_keys)
    await worker_pool.execute("UPDATE lane SET turn_at = now() + interval '5 h'")
    assert await sweep(worker_pool, catalogue, credentials) == 0
    assert await due_lanes(worker_pool, 10) == [lane]
    await pause(worker_pool, lane, "not_supported", None)
    assert await due_lanes(worker_pool, 10) == []
    assert await sweep(worker_pool, catalogue, credentials) == 1
    assert await due_lanes(worker_pool, 10) == [lane]
