"""Checking lanes: what becomes of a lane and its parcels when something goes wrong."""

import asyncio
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from tests.monitoring.conftest import House

from milepost import observe
from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import (
    Broken,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
)
from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable
from milepost.intake.turns import Intake
from milepost.monitoring import settle as settle_module
from milepost.monitoring import slots
from milepost.monitoring.claim import Lane, due_lanes, pause
from milepost.monitoring.sweep import sweep
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.parcels.record import Recorder
from milepost.settings import Settings
from milepost.wiring import WorkerParts
from milepost.worker import main as worker

REFUSED = Refused(3600, "no", credential_refused=True)
BUSY = Refused(600, "too many", credential_refused=False)


async def test_a_new_login_has_refused_parcels_asked_at_once(house: House) -> None:
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: REFUSED
    assert await house.check() == 1
    await house.credentials.set_for_account(house.account, "sandbox", {"speed": "2"})
    house.answer = lambda _: NotFound()
    assert await due_lanes(house.pool, 10) == [await house.lane()]
    assert await house.check() == 1


async def test_a_refused_lane_stays_refused_until_the_carrier_answers(house: House) -> None:
    """Faults, other refusals and a missing slot say nothing about the credential."""
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: REFUSED
    await house.check()
    epoch = await house.epoch()
    for answer in (Broken("answered 503"), BUSY):
        house.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        await house.run("UPDATE watch SET due_at = now()")
        await house.run("UPDATE lane SET turn_at = now(), paused_until = NULL")
        assert await house.check() == 1
        assert (await house.lane()).state == "credential_refused"
    assert await house.check() == 0, "the carrier asked to be left alone"
    assert (await house.lane()).state == "credential_refused"
    assert await house.epoch() == epoch, "nothing was rendered anew for nothing"


async def test_a_parcel_in_a_refused_lane_without_a_turn_gets_one(house: House) -> None:
    await house.register(carrier_code="sandbox")
    await pause(house.pool, await house.lane(), "credential_refused", timedelta())
    await house.run("UPDATE watch SET due_at = 'infinity'")
    await house.run("UPDATE lane SET turn_at = 'infinity'")
    await house.register(carrier_code="sandbox")
    assert await due_lanes(house.pool, 10) == [await house.lane()]
    await house.run("UPDATE lane SET turn_at = 'infinity'")
    await sweep(house.pool, house.catalogue, house.credentials)
    assert await due_lanes(house.pool, 10) == [await house.lane()]


async def test_retry_after_holds_for_every_account_of_the_credential(
    house: House, admin_pool: Pool
) -> None:
    operators = CredentialStore(admin_pool, SecretKeys((b"k" * 40,)))
    await operators.set_for_operator("sandbox", {"speed": "1"})
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: BUSY
    assert await house.check() == 1
    house = replace(house, account=other)
    await house.register(carrier_code="sandbox")
    assert await house.check() == 0


class _Ahead(datetime):
    """A worker's clock that is an hour off."""

    skew = timedelta(hours=-1)

    @classmethod
    def now(cls, tz: Any = None) -> "Any":
        return datetime.now(tz) + cls.skew


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(hours=1)])
async def test_a_workers_wrong_clock_moves_no_pause_and_no_slot(
    house: House, monkeypatch: pytest.MonkeyPatch, skew: timedelta
) -> None:
    monkeypatch.setattr(_Ahead, "skew", skew)
    monkeypatch.setattr(settle_module, "datetime", _Ahead)
    monkeypatch.setattr("time.time", lambda: _Ahead.now(UTC).timestamp())
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: BUSY
    assert await house.check() == 1
    paused = await house.run("SELECT extract(epoch FROM paused_until - now())::float FROM lane")
    assert 590 < paused <= 600
    house.answer = lambda _: NotFound()
    # However late this machine is, its first slot will do: of DHL's own the next is minutes away.
    monkeypatch.setattr(slots, "LATE", 30.0)
    login = {"api_key": "x", "calls_per_second": "1000", "calls_per_day": "1000000"}
    await house.credentials.set_for_account(house.account, "dhl", login)
    await house.register()
    await house.run(
        "INSERT INTO carrier_budget (carrier_code, owner, next_slot_at) "
        f"VALUES ('dhl', 'account:{house.account}', now() + interval '0.6 s')"
    )
    slot = "SELECT next_slot_at FROM carrier_budget WHERE carrier_code = 'dhl'"
    first = await house.run(slot)
    async with asyncio.timeout(60):
        assert await house.check("dhl") == 1
    assert await house.run("SELECT now() + interval '50 ms' > $1", first), "it waited for its slot"


async def test_a_parcel_we_fail_with_is_a_miss_and_hurts_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    observe.configure("worker", stream)
    bad = await house.register(carrier_code="sandbox")
    for _ in range(3):
        await house.register(carrier_code="sandbox")
    found = Found((), complete=True, service="Simulated")
    record = Recorder.record

    async def failing(self: Recorder, account: int, parcel: int, *rest: Any, **more: Any) -> Any:
        if parcel == await house.run("SELECT min(parcel_id) FROM parcel"):
            raise KeyError(bad)
        return await record(self, account, parcel, *rest, **more)

    monkeypatch.setattr(Recorder, "record", failing)
    house.answer = lambda _: found
    assert await house.check() == 4
    assert await house.run("SELECT count(*) FROM watch WHERE last_checked_at IS NOT NULL") == 3
    assert await house.run("SELECT misses FROM watch ORDER BY parcel_id LIMIT 1") == 1
    assert await house.run("SELECT count(*) FROM watch WHERE lease_until IS NOT NULL") == 0
    assert bad not in stream.getvalue()


async def test_a_connector_that_raises_is_a_miss(house: House) -> None:
    await house.register(carrier_code="sandbox")

    def fail(_: Item) -> Outcome:
        raise ValueError("a bug")

    house.answer = fail
    assert await house.check() == 1
    assert await house.run("SELECT misses FROM watch") == 1


async def test_a_database_that_goes_away_meanwhile_is_no_fault_of_the_carrier(house: House) -> None:
    """A slot, for one, is asked of the database in the middle of a question."""

    def away(_: Item) -> Outcome:
        raise DatabaseUnavailable("gone")

    await house.register(carrier_code="sandbox")
    house.answer = away
    with pytest.raises(DatabaseUnavailable):
        await house.check()
    assert await house.run("SELECT misses FROM watch") == 0


async def test_a_flood_of_refusals_waits_for_its_turn_and_not_for_a_connection(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(house.checker, "_writing", asyncio.Semaphore(2))
    for _ in range(6):
        await house.register(carrier_code="sandbox")
    under_way, most = 0, 0

    async def slow(*_: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1

    monkeypatch.setattr(slots, "hold", slow)
    house.answer = lambda _: BUSY
    assert await house.check() == 6
    assert most == 2


async def test_a_lane_whose_check_fails_lets_others_have_their_turn(
    house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.register(carrier_code="sandbox")
    lane = await house.lane()

    async def fail(_: Lane) -> int:
        raise RuntimeError("a bug")

    monkeypatch.setattr(house.checker, "check", fail)
    parts = WorkerParts(
        settings,
        house.pool,
        house.catalogue,
        house.credentials,
        house.checker,
        house.deadlines,
        drop_rounds=None,
        intake=cast(Intake, None),
        telling=house.pool,
        fan_out=cast(FanOut, None),
        deliverer=cast(Deliverer, None),
    )
    await worker._check(parts, lane)
    assert await due_lanes(house.pool, 10) == []


async def test_a_login_whose_key_is_gone_is_none(house: House) -> None:
    other = CredentialStore(house.pool, SecretKeys((b"z" * 40,)))
    await other.set_for_account(house.account, "dhl", {"api_key": "x"})
    number = await house.register()
    assert await house.check("dhl") == 0
    assert (await house.lane("dhl")).state == "waiting_for_credentials"
    assert await house.monitoring(number) == "waiting_for_credentials"


async def test_a_carrier_that_can_be_asked_by_now_waits_for_its_login(house: House) -> None:
    """An upgrade brought its connector; the lane was closed when there was none."""
    await house.register(carrier_code="dhl")
    await pause(house.pool, await house.lane("dhl"), "not_supported", None)
    assert await sweep(house.pool, house.catalogue, house.credentials) == 1
    assert await house.check("dhl") == 0
    assert (await house.lane("dhl")).state == "waiting_for_credentials"
    assert await sweep(house.pool, house.catalogue, house.credentials) == 0


async def test_a_lane_that_the_sweep_opens_is_shown_as_watched(house: House) -> None:
    number = await house.register(carrier_code="sandbox")
    await pause(house.pool, await house.lane(), "not_supported", None)
    before = await house.epoch()
    assert await house.monitoring(number) == "watching"
    await sweep(house.pool, house.catalogue, house.credentials)
    assert await house.epoch() > before


async def test_a_removed_login_is_shown_even_to_who_remembers_it(house: House) -> None:
    await house.credentials.set_for_account(house.account, "dhl", {"api_key": "x"})
    number = await house.register()
    assert await house.monitoring(number) == "watching"
    remembering = house.credentials
    fresh = CredentialStore(house.pool, SecretKeys((b"k" * 40,)))
    await remembering.get(house.account, "dhl")
    await fresh.set_for_account(house.account, "dhl", None)
    await pause(house.pool, await house.lane("dhl"), "waiting_for_credentials", None)
    assert await house.monitoring(number) == "waiting_for_credentials"


async def test_log_lines_name_the_carrier_and_the_reason(house: House) -> None:
    stream = io.StringIO()
    observe.configure("worker", stream)
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: Broken("answered 503")
    await house.check()
    (line,) = [json.loads(one) for one in stream.getvalue().splitlines()]
    assert line["carrier_code"] == "sandbox"
    assert line["reason"] == "answered 503"
    assert "dropped_fields" not in line
