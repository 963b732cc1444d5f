"""Carriers that fail rest as lanes: over all workers, one probe, and nobody pays for another."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.monitoring.conftest import House

from milepost import observe
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import Broken, NotFound, Refused
from milepost.carriers.manifest import Quota
from milepost.db.pool import Pool
from milepost.monitoring import breaker, slots
from milepost.monitoring.breaker import pause_carrier, resting, resume_carrier, weigh
from milepost.monitoring.claim import due_lanes
from milepost.monitoring.database_clock import DatabaseClock
from milepost.monitoring.slots import Budget, Ledger

DOWN = Broken("answered 503")


def ledger(pool: Pool, owner: str = "operator") -> Ledger:
    return Ledger(pool, DatabaseClock(), Budget("dhl", owner, Quota(per_second=1000)))


async def ask(pool: Pool, *, well: bool, owner: str = "operator") -> str:
    """One worker's check with one question; why it was not asked, "" where it was."""
    own = ledger(pool, owner)
    grant = await own.take(1)
    if grant.granted:
        await weigh(pool, own, answered=well, failed=not well, why="answered 503")
    return grant.why


async def rest_over(pool: Pool) -> None:
    await pool.execute("UPDATE carrier_budget SET open_until = now() - interval '1 ms'")


async def rests_for(pool: Pool) -> float:
    statement = "SELECT extract(epoch FROM open_until - now())::float8 FROM carrier_budget"
    return float(await pool.fetchval(statement))


async def test_faults_in_a_row_open_it_for_ever_longer_and_one_answer_closes_it(
    worker_pool: Pool,
) -> None:
    for _ in range(breaker.MOST_FAULTS - 1):
        assert await ask(worker_pool, well=False) == ""
    assert await ask(worker_pool, well=True) == "", "in a row means in a row"
    for _ in range(breaker.MOST_FAULTS):
        assert await ask(worker_pool, well=False) == ""
    for seconds in (30, 60, 120, 240, 480, 900, 900):
        assert await ask(worker_pool, well=True) == "open"
        assert seconds - 2 < await rests_for(worker_pool) <= seconds
        await rest_over(worker_pool)
        assert await ask(worker_pool, well=False) == "", "the probe"
    await rest_over(worker_pool)
    assert await ask(worker_pool, well=True) == ""
    assert await resting(worker_pool) == []
    assert await ask(worker_pool, well=False) == ""
    assert await resting(worker_pool) == [], "it begins anew"


async def test_half_of_many_failing_opens_it(worker_pool: Pool) -> None:
    for number in range(20):
        assert await ask(worker_pool, well=number % 2 == 1) == "", number
    assert await ask(worker_pool, well=True) == "open"


async def test_answers_between_faults_count_whenever_they_come(worker_pool: Pool) -> None:
    """However seldom a carrier is asked, and however much in one check: in a row is in a row."""
    for _ in range(3 * breaker.MOST_FAULTS):
        assert await ask(worker_pool, well=False) == ""
        await worker_pool.execute("UPDATE carrier_budget SET window_at = now() - interval '1 day'")
        assert await ask(worker_pool, well=True) == ""
    one_check = ledger(worker_pool, "account:7")
    await one_check.take(50)
    for number in range(4 * breaker.MOST_FAULTS):
        failed = number % 3 == 0
        assert await weigh(worker_pool, one_check, answered=not failed, failed=failed) is None
    assert await resting(worker_pool) == []


async def test_of_all_workers_one_probes(worker_pool: Pool, admin_pool: Pool) -> None:
    for _ in range(breaker.MOST_FAULTS):
        await ask(worker_pool, well=False)
    await rest_over(worker_pool)
    workers = [ledger(pool) for pool in (worker_pool, admin_pool) for _ in range(10)]
    grants = await asyncio.gather(*(one.take(50) for one in workers))
    assert [grant.granted for grant in grants if grant.granted] == [1], "one slot, one worker"
    (prober,) = (one for one in workers if one.probe is not None)
    slot = prober.slot()
    await slot.near()
    await slot.start()
    await prober.slot().near()  # its further requests are let through
    assert (await ledger(worker_pool).take(1)).why == "open"
    await weigh(worker_pool, ledger(worker_pool), answered=True, failed=True)
    assert [one.state for one in await resting(worker_pool)] == ["half_open"]
    # It asked nobody after all, or it died: another takes its place.
    await weigh(worker_pool, prober, answered=False, failed=False)
    second = ledger(worker_pool)
    assert (await second.take(1)).granted == 1
    await worker_pool.execute("UPDATE carrier_budget SET probe_until = now() - interval '1 s'")
    third = ledger(worker_pool)
    assert (await third.take(1)).granted == 1
    await weigh(worker_pool, second, answered=True, failed=False)
    assert await resting(worker_pool) != [], "a probe that was given up decides nothing"
    await weigh(worker_pool, third, answered=True, failed=False)
    assert await resting(worker_pool) == []


async def test_one_owners_faults_rest_nobody_else(worker_pool: Pool) -> None:
    for _ in range(breaker.MOST_FAULTS):
        await ask(worker_pool, well=False, owner="account:7")
    assert await ask(worker_pool, well=True, owner="account:7") == "open"
    assert await ask(worker_pool, well=True, owner="operator") == ""


async def test_a_refused_login_is_no_fault_of_the_carrier(house: House) -> None:
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: Refused(3600, "no", credential_refused=True)
    for _ in range(breaker.MOST_FAULTS + 1):
        await house.run("SELECT wake_lane($1, 'sandbox')", house.account)
        assert await house.check() == 1
    assert await resting(house.pool) == []


async def test_a_broken_carriers_lane_rests_and_its_parcels_miss_nothing(house: House) -> None:
    stream = io.StringIO()
    observe.configure("worker", stream)
    for _ in range(30):
        await house.register(carrier_code="sandbox")
    house.answer = lambda _: DOWN
    await house.check()
    missed = await house.run("SELECT count(*) FROM watch WHERE misses > 0")
    assert missed < breaker.MOST_FAULTS, "only who was asked before it was known"
    assert await house.run("SELECT count(*) FROM watch WHERE lease_until IS NOT NULL") == 0
    assert await due_lanes(house.pool, 10) == []
    lane = await house.run("SELECT extract(epoch FROM turn_at - now())::float8 FROM lane")
    assert 25 < lane <= 31
    for _ in range(3):
        await house.pool.execute("UPDATE carrier_budget SET open_until = now()")
        assert await house.check() == 1, "the probe"
    assert await house.run("SELECT count(*) FROM watch WHERE misses > 0") == missed
    house.answer = lambda _: NotFound()
    await house.pool.execute("UPDATE carrier_budget SET open_until = now()")
    assert await house.check() == 1
    assert await house.check() >= 30 - missed - 1
    said = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert said.count("carrier rests after faults") == 1
    assert said.count("carrier answers again") == 1
    assert said.count("carrier broken") < breaker.MOST_FAULTS


async def test_a_lane_of_the_operators_login_rests_with_the_others(
    house: House, admin_pool: Pool
) -> None:
    operators = CredentialStore(admin_pool, SecretKeys((b"k" * 40,)))
    await operators.set_for_operator("sandbox", {"speed": "1"})
    for _ in range(breaker.MOST_FAULTS):
        await house.register(carrier_code="sandbox")
    house.answer = lambda _: DOWN
    await house.check()
    add = "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    other = replace(house, account=await admin_pool.fetchval(add))
    await other.register(carrier_code="sandbox")
    assert await other.check() == 0
    assert await due_lanes(house.pool, 10) == []
    await other.credentials.set_for_account(other.account, "sandbox", {"speed": "2"})
    other.answer = house.answer = lambda _: NotFound()
    # The worker still remembers the operator's, which costs it one look.
    assert await other.check() + await other.check() == 1, "its own login is not concerned"


async def test_the_operator_pauses_a_carrier_and_resumes_it(house: House, admin_pool: Pool) -> None:
    await house.register(carrier_code="sandbox")
    assert await pause_carrier(admin_pool, "sandbox")
    assert not await pause_carrier(admin_pool, "sandbox")
    assert [one.state for one in await resting(admin_pool)] == ["paused"]
    assert await house.check() == 0
    assert await due_lanes(house.pool, 10) == []
    assert await house.run("SELECT paused_until > now() + interval '200 s' FROM lane")
    assert await resume_carrier(admin_pool, "sandbox", ["sandbox"])
    assert await due_lanes(house.pool, 10) == [await house.lane()]
    assert await house.check() == 1
    assert not await resume_carrier(admin_pool, "sandbox", ["sandbox"])


@pytest.mark.parametrize("planted", [False, True])
async def test_two_probes_at_once_would_be_seen(
    worker_pool: Pool, monkeypatch: pytest.MonkeyPatch, planted: bool
) -> None:
    """The planted fault: a probe that is not remembered."""
    if planted:
        monkeypatch.setattr(slots, "PROBE_LEASE", timedelta(seconds=-1))
    for _ in range(breaker.MOST_FAULTS):
        await ask(worker_pool, well=False)
    await rest_over(worker_pool)
    grants = [await ledger(worker_pool).take(1) for _ in range(3)]
    assert (sum(grant.granted for grant in grants) > 1) is planted
