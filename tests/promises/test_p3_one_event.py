"""P3: one physical scan is one event, in any order, however many write at once."""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.promises.figures import keep
from tests.promises.house import House, break_guard, open_house
from tests.tracking.order_free import START, scan_at

from milepost.db.pool import retrying, tenant
from milepost.parcels.stored import load
from milepost.settings import Settings
from milepost.tracking.events import Observation, Scan
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import internal, merge

RECORDERS = 4
PARCELS = 12
TIMES = 3
STEPS = ("accepted", "in_transit", "in_delivery", "attempted", "delivered")
pytestmark = [pytest.mark.promise, pytest.mark.beside]


@pytest.fixture
async def house(dsn: str, account: int, settings: Settings) -> AsyncIterator[House]:
    async with open_house(dsn, account, settings, recorders=RECORDERS) as house:
        yield house


def journey_of(dice: random.Random) -> list[Observation]:
    """A journey as polls, pushes, late scans, repeats and re-wordings tell it."""
    minutes = sorted(dice.sample(range(60, 9 * 1440, 7), k=dice.randint(3, 6)))
    scans = [
        scan_at(minute, f"C{place}", dice.choice(STEPS), position=place)
        for place, minute in enumerate(minutes)
    ]
    told = []
    for count in range(1, len(scans) + 1):
        known = [_again(scan, dice) for scan in scans[:count]]
        if count < len(scans) and count > 1 and dice.random() < 0.4:
            known.pop(dice.randrange(len(known)))  # told late
        at = scans[count - 1].moment.instant + timedelta(minutes=30)
        told.append(Observation("sandbox", "poll", at, tuple(known), complete=False))
        if dice.random() < 0.4:
            told.append(Observation("sandbox", "push", at, (_again(scans[count - 1], dice),)))
    return told


def _again(scan: Scan, dice: random.Random) -> Scan:
    return replace(scan, raw_text=dice.choice((scan.raw_text, f"{scan.raw_text} again")))


async def differences(house: House, parcel_id: int, told: Sequence[Observation]) -> list[str]:
    """How the stored parcel differs from what the model makes of everything told."""
    expected = {(scan.scan_class, scan.moment.home_minute) for one in told for scan in one.scans}
    stored = (await retrying(lambda: load(house.pool, house.account, [parcel_id])))[parcel_id]
    found = [
        (event.scan_class, event.wording.moment.home_minute)
        for event in stored.events
        if event.carrier_code
    ]
    wrong = []
    if sorted(found) != sorted(expected):
        wrong.append(f"events {sorted(found)} instead of {sorted(expected)}")
    if sorted(event.sequence for event in stored.events) != list(range(1, len(found) + 2)):
        wrong.append(f"sequences {[event.sequence for event in stored.events]}")
    events = merge((), internal(START, START))
    for observation in told:
        events = merge(events, observation)
    wanted = read_journey(events, START).status
    async with tenant(house.pool, house.account) as conn:
        row = await conn.fetchrow(
            "SELECT status, event_count, (SELECT count(*) FROM outbox o WHERE o.parcel_id = "
            "p.parcel_id) AS told FROM parcel p WHERE parcel_id = $1",
            parcel_id,
        )
    assert row is not None
    if row["status"] != wanted:
        wrong.append(f"status {row['status']} instead of {wanted}")
    if (row["event_count"], row["told"]) != (len(expected) + 1, len(expected) + 1):
        wrong.append(f"{row['event_count']} counted, {row['told']} in the outbox")
    return wrong


async def ingest(house: House, seed: int) -> list[str]:
    """Each journey several times, as parcels of their own; everything that is wrong."""
    dice = random.Random(seed)
    wrong = []
    for number in range(PARCELS):
        told = journey_of(dice)
        for _ in range(TIMES):
            parcel_id = await house.parcel()
            await house.tell(parcel_id, told, dice)
            wrong += [f"{number}: {each}" for each in await differences(house, parcel_id, told)]
    return wrong


async def test_any_order_by_any_number_of_writers_gives_the_same(house: House) -> None:
    wrong = await ingest(house, seed=7)
    keep("P3 shuffled", parcels=PARCELS, times=TIMES, recorders=RECORDERS, differences=len(wrong))
    assert wrong == []


async def test_the_check_sees_a_record_without_the_revision_guard(house: House, dsn: str) -> None:
    """The planted bug: who read an old state overwrites a newer one."""
    await break_guard(dsn)
    wrong = await ingest(house, seed=7)
    keep("P3 broken twin", differences=len(wrong))
    assert wrong != []
