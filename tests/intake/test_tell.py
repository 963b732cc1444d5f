"""What an account is told about a number: whose parcels it reaches, and that it counts once."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.parcels.conftest import registration

from milepost.carriers.connector import Found
from milepost.db.pool import Pool, retrying, tenant
from milepost.intake.tell import Teller, Verdict
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.stored import load
from milepost.tracking.events import Moment, Observation, Scan, ZoneSource
from milepost.tracking.vocabulary import Phase, Reading

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NUMBER = "JVGL06041234567890"


def scan(code: str = "transit", hour: int = 8) -> Scan:
    at = datetime(2026, 3, 2, hour, 0, tzinfo=UTC)
    moment = Moment(
        at.isoformat(), at, at.strftime("%Y-%m-%dT%H:%M"), "Europe/Amsterdam", ZoneSource.CARRIER
    )
    return Scan(code, code, "Sorted", moment, Reading(Phase.SORTED))


def found(*scans: Scan) -> Found:
    return Found(scans or (scan(),), complete=False, service="parcel")


async def codes(pool: Pool, account: int, parcel_id: int) -> list[str]:
    parcel = (await retrying(lambda: load(pool, account, [parcel_id])))[parcel_id]
    return [event.wording.raw_code for event in parcel.events if event.event_type == "carrier"]


async def test_news_then_nothing_new_then_a_second_scan(
    teller: Teller, registrar: Registrar, worker_pool: Pool, account: int
) -> None:
    await registrar.register(account, registration(tracking_number=NUMBER))
    told = await teller.tell(account, "dhl", f" {NUMBER.lower()} ", found(), "push", NOW)
    assert (told.verdict, told.new_events, len(told.parcels)) == (Verdict.NEWS, 1, 1)
    again = await teller.tell(account, "dhl", NUMBER, found(), "push", NOW)
    assert (again.verdict, again.parcels) == (Verdict.KNOWN, told.parcels)
    later = NOW + timedelta(hours=1)
    both = await teller.tell(account, "dhl", NUMBER, found(scan(), scan("ok", 9)), "file", later)
    assert (both.verdict, both.new_events) == (Verdict.NEWS, 1)
    assert await codes(worker_pool, account, told.parcels[0]) == ["transit", "ok"]


@pytest.mark.parametrize("first", ["push", "poll"])
async def test_a_push_and_a_poll_of_one_scan_are_one_event(
    teller: Teller,
    recorder: Recorder,
    registrar: Registrar,
    worker_pool: Pool,
    account: int,
    first: str,
) -> None:
    await registrar.register(account, registration(tracking_number=NUMBER))
    ((parcel_id, _),) = await teller.holders(account, "dhl", NUMBER)

    async def poll() -> None:
        observation = Observation("dhl", "poll", NOW, (scan(),), complete=True)
        await recorder.record(account, parcel_id, observation, NOW, lambda *_: None)

    async def push() -> None:
        await teller.tell(account, "dhl", NUMBER, found(), "push", NOW)

    for tells in (push, poll) if first == "push" else (poll, push):
        await tells()
    parcel = (await retrying(lambda: load(worker_pool, account, [parcel_id])))[parcel_id]
    (event,) = [event for event in parcel.events if event.event_type == "carrier"]
    assert {sighting.source for sighting in event.sightings} == {"poll", "push"}


async def test_codes_that_a_carrier_answers_for_are_its_own(
    teller: Teller, registrar: Registrar, worker_pool: Pool, account: int
) -> None:
    wanted = registration(tracking_number="3SABCD0123456789", carrier_code="postnl_large")
    await registrar.register(account, wanted)
    number = wanted.tracking_number
    told = await teller.tell(account, "postnl", number, found(), "push", NOW)
    assert told.verdict is Verdict.NEWS
    parcel = (await retrying(lambda: load(worker_pool, account, told.parcels)))[told.parcels[0]]
    assert {event.carrier_code for event in parcel.events} == {"", "postnl_large"}
    elsewhere = await teller.tell(account, "ups", number, found(), "push", NOW)
    assert elsewhere.verdict is Verdict.UNKNOWN_NUMBER
    anyone = await teller.tell(account, None, number, found(), "file", NOW)
    assert anyone.parcels == told.parcels


async def test_only_a_current_parcel_of_the_account_is_told(
    teller: Teller, registrar: Registrar, worker_pool: Pool, admin_pool: Pool, account: int
) -> None:
    await registrar.register(account, registration(tracking_number=NUMBER))
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('x') RETURNING account_id"
    )
    for stranger, number in ((other, NUMBER), (account, "JVGL1"), (account, "  ")):
        told = await teller.tell(stranger, "dhl", number, found(), "push", NOW)
        assert told.verdict is Verdict.UNKNOWN_NUMBER
    async with tenant(worker_pool, account) as conn:
        await conn.execute("UPDATE tracked_number SET is_current = false")
    told = await teller.tell(account, "dhl", NUMBER, found(), "push", NOW)
    assert told.verdict is Verdict.UNKNOWN_NUMBER
