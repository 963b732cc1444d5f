"""While an account is suspended nobody is told, and nothing of it is lost."""

from tests.notifications.subscriber import Subscriber
from tests.notifications.test_deliver import ALL, deliverer, drain, journeys, states
from tests.notifications.town import Town

from milepost.accounts.keys import set_suspended
from milepost.db.pool import Pool
from milepost.notifications import health
from milepost.notifications.forms import Form
from milepost.notifications.suspending import heed


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

    await set_suspended(admin_pool, town.account, False)
    await heed(town.pool)
    await drain(town, worker)
    assert subscriber.of(parcel) == [1, 2, 3, 4]
    assert (await health.health_of(town.pool, town.account, paused)).state == "paused"
