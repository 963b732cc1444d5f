"""While an account is suspended nobody is told, and nothing of it is lost."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL, deliverer, drain, journeys, states
from tests.notifications.town import Town

from milepost.accounts.keys import set_suspended
from milepost.db.pool import Pool, tenant
from milepost.notifications import giving_up, health
from milepost.notifications.forms import Form
from milepost.notifications.suspending import heed
from milepost.worker import main


async def test_a_suspended_account_tells_nobody_and_goes_on_afterwards(
    town: Town, admin_pool: Pool
) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    paused = await town.connect("webhook", Form.EVENT, ALL)
    await health.pause(town.pool, town.account, paused, "key:7")
    subscriber = Subscriber()
    worker = deliverer(town, subscriber)
    await set_suspended(admin_pool, town.account, True)
    await heed(town.pool)
    (parcel,) = await journeys(town, 1)
    assert await drain(town, worker) == 0
    assert (subscriber.told, len(await town.feed())) == ([], 4)
    assert {state for state, _ in await states(town, connection)} == {"pending"}
    await heed(town.pool)
    shut = await health.health_of(town.pool, town.account, connection)
    assert (shut.state, shut.reason) == ("paused", "the account is suspended")
    held = await admin_pool.acquire()
    try:
        # It is looked at without a lock or a transaction of its own when nothing is left to do.
        await held.execute("BEGIN")
        await held.execute("LOCK TABLE delivery_lane IN SHARE MODE")
        await asyncio.wait_for(heed(town.pool), 60)
    finally:
        await held.execute("ROLLBACK")
        await admin_pool.release(held)

    await set_suspended(admin_pool, town.account, False)
    await heed(town.pool)
    await drain(town, worker)
    assert subscriber.of(parcel) == [1, 2, 3, 4]
    assert (await health.health_of(town.pool, town.account, paused)).state == "paused"


async def test_who_knows_what_was_suspended_opens_it_without_a_look_at_all_lanes(
    town: Town, admin_pool: Pool
) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await set_suspended(admin_pool, town.account, True)
    known = await heed(town.pool)
    assert town.account in known
    assert await heed(town.pool, known) == known
    shut = await health.health_of(town.pool, town.account, connection)
    assert shut.state == "paused"
    await set_suspended(admin_pool, town.account, False)
    assert await heed(town.pool, known) == known - {town.account}
    opened = await health.health_of(town.pool, town.account, connection)
    assert opened.state == "open"


async def test_what_was_shut_by_a_worker_that_is_gone_is_opened_in_the_end(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had seen a suspension that nobody else saw: the others know of none that was lifted."""
    monkeypatch.setattr(main, "SUSPENDING_SECONDS", 0.01)
    monkeypatch.setattr(main, "KNOWING_LOOKS", 2)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parts: Any = SimpleNamespace(pool=town.pool)
    stop = asyncio.Event()
    loop = asyncio.create_task(main._heed_suspensions(parts, stop))
    # Once more after the first look, which looks at all that is shut anyhow.
    for _ in range(2):
        await town.run(
            "UPDATE delivery_lane SET state = 'paused', reason = 'the account is suspended'"
            " WHERE account_id = $1 AND connection_id = $2",
            connection,
        )
        async with asyncio.timeout(60):
            while await _reason(town, connection):
                await asyncio.sleep(0.02)
    stop.set()
    await loop


async def test_what_is_paused_meanwhile_stays_so_and_giving_up_opens_nothing(
    town: Town, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are the operator's to do while the account itself is let in nowhere."""
    monkeypatch.setattr(giving_up, "AT_ONCE", 1)
    paused = await town.connect("webhook", Form.EVENT, ALL)
    unwanted = await town.connect("webhook", Form.EVENT, ALL)
    worker = deliverer(town, Subscriber())
    await journeys(town, 1)
    async with tenant(town.pool, town.account) as conn:
        await giving_up.give_up(conn, town.account, unwanted)
    await set_suspended(admin_pool, town.account, True)
    await heed(town.pool)
    await health.pause(town.pool, town.account, paused, "cli")
    await giving_up.give_up_the_rest(town.pool)
    assert await drain(town, worker) == 0
    assert await _reason(town, unwanted) == "the account is suspended"

    await set_suspended(admin_pool, town.account, False)
    await heed(town.pool)
    assert await _reason(town, paused) == "paused by hand"
    assert await _reason(town, unwanted) == ""


async def _reason(town: Town, connection: int) -> str:
    """Why nothing is sent there."""
    found = await health.health_of(town.pool, town.account, connection)
    return found.reason
