"""A carrier is live once it told of a scan, under the code it was asked for, and stays so."""

from datetime import UTC, datetime

import asyncpg
import pytest
from tests.monitoring.conftest import House

from milepost.carriers.connector import Broken, Found, NotFound, Outcome
from milepost.monitoring.live import LiveCarriers, live_since
from milepost.tracking.events import Moment, Scan, ZoneSource
from milepost.tracking.vocabulary import Phase, Reading

AT = datetime(2026, 3, 3, 9, tzinfo=UTC)
SCAN = Scan(
    "a",
    "a",
    "Accepted",
    Moment("2026-03-03T09:00Z", AT, "2026-03-03T09:00", "UTC", ZoneSource.CARRIER),
    Reading(Phase.ACCEPTED),
)
TOLD = Found((SCAN,), complete=True)


@pytest.mark.parametrize("outcome", [NotFound(), Found((), complete=True), Broken("no")])
async def test_an_answer_without_a_scan_makes_nobody_live(house: House, outcome: Outcome) -> None:
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: outcome
    assert await house.check() == 1
    assert await live_since(house.pool) == {}


async def test_the_first_success_counts(house: House) -> None:
    await house.register(carrier_code="sandbox")
    house.answer = lambda _: TOLD
    assert await house.check() == 1
    live = await live_since(house.pool)
    assert live.keys() == {"sandbox"}
    # Another process finds it noted already.
    await LiveCarriers(house.pool).note("sandbox", [TOLD])
    assert await live_since(house.pool) == live


async def test_a_process_writes_once(house: House, dsn: str) -> None:
    noted = LiveCarriers(house.pool)
    await noted.note("postnl", [NotFound(), TOLD])
    assert (await live_since(house.pool)).keys() == {"postnl"}
    owner = await asyncpg.connect(dsn)
    await owner.execute("DELETE FROM carrier_live")
    await owner.close()
    await noted.note("postnl", [TOLD])
    assert await live_since(house.pool) == {}
    await LiveCarriers(house.pool).note("postnl", [TOLD])
    assert (await live_since(house.pool)).keys() == {"postnl"}
