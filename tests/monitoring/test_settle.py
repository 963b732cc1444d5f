"""What an outcome leaves in the schedule's row: only an answer counts as a check."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from tests.monitoring.conftest import House

from milepost.carriers.connector import Broken, NotFound, Outcome, Refused
from milepost.monitoring.claim import claim

LEASE = timedelta(seconds=60)
CHECKED = "SELECT array_agg(last_checked_at IS NOT NULL ORDER BY parcel_id) FROM watch"


@pytest.mark.parametrize(
    ("outcomes", "checked"),
    [
        ([NotFound(), NotFound()], [True, True]),
        ([Broken("no", lane_wide=False), NotFound()], [False, True]),
        ([Broken("no"), Broken("no")], [False, False]),
        ([Refused(9, "no"), Refused(9, "no")], [False, False]),
    ],
)
async def test_only_an_answer_is_a_check(
    house: House, outcomes: Sequence[Outcome], checked: list[bool]
) -> None:
    numbers = [await house.register(carrier_code="sandbox") for _ in outcomes]
    told = dict(zip(numbers, outcomes, strict=True))
    house.answer = lambda item: told[item.number]
    assert await house.check() == len(outcomes)
    assert await house.run(CHECKED) == checked


async def test_a_parcel_that_was_not_asked_about_is_not_checked(house: House) -> None:
    await house.register(carrier_code="sandbox")
    (row,) = await claim(house.pool, await house.lane(), 1, LEASE)
    assert not house.checker._settler.unasked(row).checked


@pytest.mark.parametrize("late", [False, True])
async def test_a_first_answer_is_recorded_by_who_holds_the_row(house: House, late: bool) -> None:
    await house.register(carrier_code="sandbox")
    lane, carrier = await house.lane(), house.catalogue.get("sandbox")
    assert carrier is not None
    (row,) = await claim(house.pool, lane, 1, LEASE)
    if late:
        await house.run("UPDATE watch SET fence = fence + 1")
    revision = await house.run("SELECT revision FROM parcel")
    assert await house.checker._settler.settle(lane, carrier, row, NotFound()) is None
    assert await house.run("SELECT revision FROM parcel") == revision + (not late)


async def test_a_simulated_carriers_own_clock_is_the_time_of_its_check(house: House) -> None:
    """Its parcels live by that clock: the next check is planned from there."""
    await house.register(carrier_code="sandbox")
    later = datetime.now(UTC) + timedelta(days=200)
    house.answer = lambda _: NotFound(as_of=later)
    await house.check()
    stopped = "SELECT count(*) FROM parcel WHERE stop_reason <> ''"
    assert await house.run(stopped) == 1, "200 days without a scan end the watch"


async def test_a_later_answer_without_news_may_end_the_watch(house: House) -> None:
    await house.register(carrier_code="sandbox")
    await house.check()
    await house.run("UPDATE watch SET due_at = now(), next_deadline_at = NULL")
    await house.run("UPDATE lane SET turn_at = now()")
    house.answer = lambda _: NotFound(as_of=datetime.now(UTC) + timedelta(days=200))
    await house.check()
    assert await house.run("SELECT count(*) FROM parcel WHERE stop_reason <> ''") == 1


async def test_the_account_is_set_for_one_transaction(house: House) -> None:
    async with house.pool.acquire() as connection:
        for asked in (
            "SELECT renew_leases($1, '{}', '{}', interval '1 s')",
            "SELECT holds_fence($1, 1, 1)",
            "SELECT finish_checks($1, 'sandbox', '[]')",
            "SELECT claim_due($1, 'sandbox', 1, interval '1 s', 1)",
            "SELECT record_observation($1, 0, 0, NULL, now(), '{}', NULL, NULL, '[]', '[]', '{}',"
            " '[]', NULL, NULL, NULL, NULL, NULL)",
        ):
            await connection.fetch(asked, house.account)
            left = "SELECT current_setting('milepost.account_id', true)"
            assert not await connection.fetchval(left), asked


@pytest.mark.parametrize(
    ("deadline", "recorded"), [("NULL", 0), ("now() + interval '1 h'", 0), ("now()", 1)]
)
async def test_a_check_without_news_writes_the_parcel_where_a_deadline_has_passed(
    house: House, deadline: str, recorded: int
) -> None:
    await house.register(carrier_code="sandbox")
    await house.check()
    before = await house.run("SELECT revision FROM parcel")
    await house.run(f"UPDATE watch SET due_at = now(), next_deadline_at = {deadline}")
    await house.run("UPDATE watch SET last_checked_at = now() - interval '1 h'")
    await house.run("UPDATE lane SET turn_at = now()")
    assert await house.check() == 1
    assert await house.run("SELECT revision FROM parcel") == before + recorded
    fresh = "SELECT last_checked_at > now() - interval '30 min' FROM watch"
    assert await house.run(fresh)
