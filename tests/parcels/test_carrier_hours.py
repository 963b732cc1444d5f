"""What is counted of carriers adds up by hour, stays an account's own, and knows what came late."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import pytest

from milepost.db.pool import Pool
from milepost.errors import DatabaseUnavailable
from milepost.parcels import carrier_hours
from milepost.parcels.carrier_hours import (
    LAG_STEPS,
    CarrierHours,
    Counts,
    all_hours_of,
    hours_of,
)

NOW = datetime.now(UTC)
SINCE = NOW - timedelta(hours=24)


def total(hours: dict[datetime, Counts]) -> Counts:
    counts = Counts()
    for one in hours.values():
        counts.add(one)
    return counts


async def test_two_processes_add_up(worker_pool: Pool, admin_pool: Pool, account: int) -> None:
    for outcomes in (["found", "notfound", "unchanged"], ["broken", "refused", "found"]):
        hours = CarrierHours()
        hours.checked(account, "dhl", outcomes)
        await hours.keep(worker_pool)
        await hours.keep(worker_pool)
    mine = total(await hours_of(worker_pool, account, "dhl", SINCE))
    assert (mine.found, mine.not_found, mine.refused, mine.broken) == (3, 1, 1, 1)
    assert mine.checks == 6
    assert mine.success_rate == pytest.approx(4 / 6)
    assert mine.unmapped_rate is None
    assert total(await all_hours_of(admin_pool, "dhl", SINCE)) == mine
    # Nobody else's, and nobody else's carrier.
    assert await hours_of(worker_pool, account + 1, "dhl", SINCE) == {}
    assert await hours_of(worker_pool, account, "ups", SINCE) == {}


async def test_an_hour_is_written_over_when_it_comes_again(
    worker_pool: Pool, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = NOW.replace(minute=0, second=0, microsecond=0)

    async def keep(at: datetime, checks: int) -> None:
        row = carrier_hours._row(("dhl", at), Counts(found=checks))
        await carrier_hours._keep(worker_pool, account, [row])

    await keep(hour - timedelta(hours=25), 7)
    await keep(hour, 2)
    await keep(hour - timedelta(hours=25), 100)
    await keep(hour - timedelta(hours=24), 3)
    kept = await hours_of(worker_pool, account, "dhl", SINCE - timedelta(days=9))
    assert {at: one.found for at, one in kept.items()} == {hour: 2, hour - timedelta(hours=24): 3}


async def test_what_could_not_be_kept_is_kept_later(worker_pool: Pool, account: int) -> None:
    hours = CarrierHours()
    hours.checked(account, "dhl", ["found"])
    await worker_pool.close()
    with pytest.raises(DatabaseUnavailable):
        await hours.keep(worker_pool)
    hours.checked(account, "dhl", ["found"])
    [[one]] = [list(keyed.values()) for keyed in hours._counts.values()]
    assert one.found == 2


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
async def test_a_fault_of_any_kind_loses_nothing_and_is_in_nobodys_way(
    worker_pool: Pool, account: int, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    hours, kept = CarrierHours(), []
    for account_id in (account, account + 1, account + 2):
        hours.checked(account_id, "dhl", ["found"])

    async def keep(_: Pool, account_id: int, rows: list[dict[str, object]]) -> None:
        if account_id == account + 1:
            raise error
        kept.append(account_id)

    monkeypatch.setattr(carrier_hours, "_keep", keep)
    with nullcontext() if error is RuntimeError else pytest.raises(error):
        await hours.keep(worker_pool)
    # Who is stopped keeps no more; a fault is one account's.
    assert set(kept) == {account} | ({account + 2} if error is RuntimeError else set())
    assert hours._counts.keys() == {account, account + 1, account + 2} - set(kept)


@pytest.mark.parametrize(
    ("lags", "half", "most"),
    [
        ([0] * 10, None, None),
        ([2, 0, 0, 0, 0, 0, 0, 0, 0, 0], 30.0, 57.0),
        ([0, 0, 10, 0, 0, 0, 0, 0, 0, 10], 900.0, 86_400.0),
    ],
)
def test_lateness_is_read_within_its_step(
    lags: list[int], half: float | None, most: float | None
) -> None:
    counts = Counts(lags=lags)
    assert len(lags) == len(LAG_STEPS) + 1
    assert counts.lag(0.5) == half
    assert counts.lag(0.95) == most
