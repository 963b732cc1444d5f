"""An account's health of a carrier is made of its own checks and of what holds its own lanes."""

import dataclasses
from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from tests.monitoring.conftest import House
from tests.monitoring.test_live import SCAN

from milepost.carriers.connector import Broken, Found
from milepost.carriers.registry import Carrier
from milepost.db.pool import Pool
from milepost.monitoring.breaker import pause_carrier
from milepost.monitoring.drift import drift_of
from milepost.monitoring.health import Health, document, health_for, health_for_all
from milepost.parcels.record import Recorder
from milepost.parcels.render import Renderer
from milepost.tracking.events import Observation
from milepost.tracking.vocabulary import UNREAD


def sandbox(house: House) -> Carrier:
    carrier = house.catalogue.get("sandbox")
    assert carrier is not None
    return carrier


def counted_events() -> float:
    labels = {"carrier": "sandbox"}
    return REGISTRY.get_sample_value("milepost_carrier_events_total", labels) or 0.0


async def own(house: House, account: int | None = None) -> Health:
    now = datetime.now(UTC)
    account = house.account if account is None else account
    return await health_for(house.pool, sandbox(house), account, now, own_login=False)


async def test_checks_and_lateness_are_an_accounts_own(house: House, admin_pool: Pool) -> None:
    numbers = [
        await house.register(carrier_code="sandbox", tracking_number=f"SB{n}") for n in "123"
    ]
    await house.run("UPDATE parcel SET created_at = now() - interval '1 day'")
    at = datetime.now(UTC) - timedelta(minutes=20)
    moment = dataclasses.replace(
        SCAN.moment, stated=at.isoformat(), instant=at, home_minute=at.isoformat()[:16]
    )
    scan = dataclasses.replace(SCAN, moment=moment)
    strange = dataclasses.replace(scan, raw_code="Z9", scan_class="Z9", reading=UNREAD, position=1)
    house.answer = lambda item: (
        Broken("no", lane_wide=False)
        if item.number == numbers[0]
        else Found((scan, strange), complete=True)
    )
    before = counted_events()
    assert await house.check() == 3
    assert counted_events() == before + 4
    await house.checker.hours.keep(house.pool)
    told = await own(house)
    hour = told.spans["last_hour"]
    assert (hour.found, hour.broken, hour.events, hour.unmapped) == (2, 1, 4, 2)
    assert hour.success_rate == 2 / 3
    assert hour.unmapped_rate == 0.5
    lag = hour.lag(0.5)
    assert lag is not None
    assert 900 < lag <= 1800
    assert told.spans["last_day"] == hour
    assert (await own(house, house.account + 1)).spans["last_day"].checks == 0
    everybody = await health_for_all(
        admin_pool, sandbox(house), datetime.now(UTC), lambda _, code: code != "Z9"
    )
    assert [one.what for one in everybody.drift] == ["Z9"]
    assert told.drift == ()
    assert everybody.spans == told.spans
    assert document(told, datetime.isoformat)["last_hour"]["lag_seconds"]["p50"] == lag


async def test_what_was_scanned_before_we_watched_is_not_late(house: House) -> None:
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: Found((SCAN,), complete=True)
    assert await house.check() == 1
    await house.checker.hours.keep(house.pool)
    hour = (await own(house)).spans["last_hour"]
    assert (hour.events, hour.lag(0.5)) == (1, None)


async def test_what_a_merchant_tells_says_nothing_of_the_carrier(
    house: House,
) -> None:
    number = await house.register(carrier_code="sandbox")
    key = await house.run("SELECT parcel_id FROM parcel WHERE tracking_number = $1", number)
    strange = dataclasses.replace(SCAN, raw_code="hello", scan_class="own hello", reading=UNREAD)
    renderer = Renderer(house.catalogue, house.credentials, 30)
    recorder, now = Recorder(house.pool, renderer), datetime.now(UTC)
    with capture_logs() as lines:
        told = Observation("sandbox", "own", now, (strange,))
        recorded = await recorder.record(house.account, key, told, now, lambda *_: None)
    assert recorded.new_events == 1
    assert [line for line in lines if line["event"] == "carrier drift"] == []
    await recorder.hours.keep(house.pool)
    await recorder.unmapped.keep(house.pool)
    assert (await own(house)).spans["last_hour"].events == 0
    assert await drift_of(house.pool, sandbox(house), lambda *_: False) == []


async def test_who_is_not_asked_is_told_with_the_reason(house: House, admin_pool: Pool) -> None:
    assert (await own(house)).state == "asked"
    await admin_pool.execute(
        "INSERT INTO carrier_budget (carrier_code, owner, open_until) "
        "VALUES ('sandbox', $1, now() + interval '1 hour')",
        f"account:{house.account}",
    )
    told = await own(house)
    assert told.state == "open"
    assert told.until is not None
    # Another account is asked for all the same.
    assert (await own(house, house.account + 1)).state == "asked"
    await pause_carrier(admin_pool, "sandbox")
    assert (await own(house, house.account + 1)).state == "paused"
