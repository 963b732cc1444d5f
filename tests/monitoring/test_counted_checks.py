"""What an account asked of carriers is counted, by day and carrier, as it is asked."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.monitoring.conftest import House

from milepost.carriers.connector import Broken, Found
from milepost.db.pool import Pool
from milepost.monitoring import check
from milepost.monitoring.claim import Lane, uncount
from milepost.monitoring.slots import Ledger
from milepost.parcels.usage import Checked, usage_of

NEWS = Found((), complete=True, service="Simulated")


async def counted(house: House) -> list[tuple[str, int]]:
    """Today's checks by carrier; around midnight those of yesterday as well."""
    usage = await usage_of(house.pool, house.account, 2)
    return [(one.carrier_code, one.checks) for one in usage.checked]


async def again(house: House) -> int:
    await house.run("UPDATE watch SET due_at = now()")
    await house.run("UPDATE lane SET turn_at = now(), paused_until = NULL")
    return await house.check()


async def test_every_question_counts_whatever_the_answer(house: House) -> None:
    for _ in range(3):
        await house.register(carrier_code="sandbox")
    assert await counted(house) == []
    assert await house.check() == 3
    for answer in (NEWS, Broken("answered 503", lane_wide=False)):
        house.answer = lambda _, answer=answer: answer  # type: ignore[misc]
        assert await again(house) == 3
    assert await house.check() == 0, "nothing was due, nothing is counted"
    assert sum(checks for _, checks in await counted(house)) == 9
    assert {carrier for carrier, _ in await counted(house)} == {"sandbox"}


async def test_who_got_no_slot_was_not_asked(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await house.register(carrier_code="sandbox")
    assert await house.check() == 3

    async def none_left(self: Ledger, horizon: timedelta) -> float:
        raise self.deny("quota", 5)

    calls: list[int] = []

    async def told(pool: Pool, lane: Lane, unasked: int) -> None:
        calls.append(unasked)
        await uncount(pool, lane, unasked)

    monkeypatch.setattr(Ledger, "next", none_left)
    monkeypatch.setattr(check, "uncount", told)
    await again(house)
    assert sum(checks for _, checks in await counted(house)) == 3
    assert calls == [3], "once for all, who would stand in each other's way"


async def test_days_before_those_asked_for_are_left_out(house: House) -> None:
    today = datetime.now(UTC).date()
    await house.run(
        "INSERT INTO check_day (account_id, day, carrier_code, checks) "
        f"SELECT {house.account}, $1::date - n, 'dhl', n FROM generate_series(5, 7) AS n",
        today,
    )
    usage = await usage_of(house.pool, house.account, 7)
    told = [Checked(today - timedelta(days=n), "dhl", n) for n in (5, 6)]
    assert list(usage.checked) == told
