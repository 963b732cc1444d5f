"""While an account is suspended its carriers are not asked."""

import pytest
from tests.monitoring.conftest import House

from milepost.accounts.keys import set_suspended, suspended_accounts
from milepost.db.pool import Pool
from milepost.monitoring import suspended
from milepost.monitoring.claim import due_lanes
from milepost.monitoring.suspended import Suspended


async def test_lanes_of_a_suspended_account_rest_and_go_on_when_it_is_lifted(
    house: House, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspended, "LOOK_SECONDS", 0.0)
    await house.register()
    worker = Suspended(house.pool)
    due = await due_lanes(house.pool, 10)
    assert [lane.account_id for lane in due] == [house.account]
    assert await worker.left_out(due) == due
    await set_suspended(admin_pool, house.account, True)
    assert await worker.left_out(due) == []
    assert await due_lanes(house.pool, 10) == [], "others have its place"
    await set_suspended(admin_pool, house.account, False)
    assert await worker.left_out(due) == due


async def test_a_worker_sees_of_other_accounts_only_that_they_are_suspended(
    worker_pool: Pool, admin_pool: Pool, account: int
) -> None:
    statement = "SELECT count(*) FROM account"
    assert await worker_pool.fetchval(statement) == 0
    await set_suspended(admin_pool, account, True)
    assert await worker_pool.fetchval(statement) == 1
    assert account in await suspended_accounts(worker_pool)
