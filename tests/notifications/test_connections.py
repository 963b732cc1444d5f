"""Connections that change or go while something waits for them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.notifications.subscriber import Subscriber, broken
from tests.notifications.test_deliver import ALL, deliverer, drain, journeys, states
from tests.notifications.town import Town, scan

from milepost.accounts.secret_keys import SecretKeys
from milepost.db.pool import tenant
from milepost.egress.policy import Policy
from milepost.errors import InvalidInput, NotFoundError
from milepost.notifications import connections, emails, giving_up, health, subscriptions
from milepost.notifications.configuration import Change
from milepost.notifications.connections import Connections
from milepost.notifications.forms import Form, Kind
from milepost.notifications.giving_up import give_up_the_rest
from milepost.notifications.integrations import forget_deleted
from milepost.notifications.patience import Rules
from milepost.notifications.terms import Terms
from milepost.settings import Settings

ACTOR = "key:7"
ADDRESSED = {"country_code": "NL", "postal_code": "1017", "email": "ada@recipient.example"}
OF_CONNECTION = ("subscription", "delivery", "delivery_attempt", "delivery_lane", "connection")
GIVING_UP = Terms(event_pauses=(), patience=Rules(failures=1000, give_up=timedelta(0)))


def room_of(keys: SecretKeys) -> Connections:
    return Connections(keys, Policy.of(Settings(egress_allow="127.0.0.0/8:*")))


async def change(town: Town, keys: SecretKeys, connection: int, wanted: Change) -> None:
    async with tenant(town.pool, town.account) as conn:
        await room_of(keys).change(conn, town.account, connection, wanted, ACTOR)


async def lane_of(town: Town, connection: int) -> tuple[str, int]:
    ((state, failures),) = await town.rows(
        "SELECT state, failures FROM delivery_lane WHERE account_id = $1 AND connection_id = $2",
        connection,
    )
    return state, failures


async def test_all_of_a_connection_goes_and_nothing_of_another(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FORGOTTEN_AT_ONCE", 3)
    gone = await town.connect("webhook", Form.CLOUD_EVENT, ALL)
    both = await town.connect("webhook", Form.EVENT, ALL)
    alone = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 2)
    await drain(town, deliverer(town, Subscriber()))
    before = await states(town, both)
    for connection in (gone, alone):
        await connections.delete(town.pool, town.account, connection, ACTOR)
        for table in OF_CONNECTION:
            left = await town.rows(
                f"SELECT connection_id FROM {table} WHERE account_id = $1 AND connection_id = $2",
                connection,
            )
            assert left == [], table
    assert await states(town, both) == before
    forms = await town.rows("SELECT form, count(*) FROM message WHERE account_id = $1 GROUP BY 1")
    assert forms == [(Form.EVENT, 8)], "what only the first was sent is gone; the feed's is not"
    with pytest.raises(NotFoundError):
        await connections.delete(town.pool, town.account, gone, ACTOR)
    await town.register()
    assert await town.tell() == 1

    # One with very much to forget is gone for everybody at once, and its secrets are.
    monkeypatch.setattr(connections, "FORGETTING_SECONDS", 0)
    await connections.delete(town.pool, town.account, both, ACTOR)
    assert 0 < len(await states(town, both)) < len(before)
    async with tenant(town.pool, town.account) as conn:
        assert await connections.listed(conn, town.account) == []
    ((*secrets, shown),) = await town.rows(
        "SELECT sealed, signing_key, deleted_at IS NULL FROM connection WHERE account_id = $1"
    )
    assert (secrets, shown) == ([None, None], False)
    assert await forget_deleted(town.pool, town.account) == 1
    assert await states(town, both) == []


async def test_a_subscription_that_ends_takes_along_what_waits_for_nobody_else(
    town: Town,
) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL, ALL)
    await journeys(town, 1)
    ids = [
        row[0]
        for row in await town.rows("SELECT subscription_id FROM subscription WHERE account_id = $1")
    ]
    for which, expected in zip(ids, ("pending", "cancelled"), strict=True):
        async with tenant(town.pool, town.account) as conn:
            await subscriptions.delete(conn, town.account, which, "key:1")
        assert {state for state, _ in await states(town, connection)} == {expected}
    noted = await town.rows("SELECT action, actor FROM audit WHERE account_id = $1")
    assert noted == [("subscription.deleted", "key:1")] * 2
    subscriber = Subscriber()
    await drain(town, deliverer(town, subscriber))
    assert subscriber.told == []


async def test_a_new_address_opens_what_was_given_up_and_everything_follows_in_order(
    town: Town, secret_keys: SecretKeys
) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    (parcel,) = await journeys(town, 1)
    await drain(town, deliverer(town, Subscriber(broken), GIVING_UP))
    assert (await lane_of(town, connection))[0] == "disabled"
    await town.observe(parcel, scan(1, "delivered"))
    await town.tell()
    subscriber = Subscriber()
    await drain(town, deliverer(town, subscriber))
    assert subscriber.told == [], "nothing is sent there, and nothing is forgotten"

    await change(town, secret_keys, connection, Change(form=Form.CLOUD_EVENT))
    assert (await lane_of(town, connection))[0] == "disabled", "it still leads where it led"
    await change(town, secret_keys, connection, Change(url="http://127.0.0.1:8/"))
    assert await lane_of(town, connection) == ("open", 0)
    await drain(town, deliverer(town, subscriber))
    told = subscriber.of(parcel)
    assert told == sorted(set(told))
    assert len(told) == len(await states(town, connection))


@pytest.mark.parametrize(("state", "expected"), [("paused", "paused"), ("open", "open")])
async def test_a_new_address_does_not_undo_a_pause(
    town: Town, secret_keys: SecretKeys, state: str, expected: str
) -> None:
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await town.run(
        "UPDATE delivery_lane SET state = $3, failures = 7, failing_since = now(),"
        " rests_until = now() + interval '1 hour' WHERE account_id = $1 AND connection_id = $2"
        " RETURNING 1",
        *(connection, state),
    )
    await change(town, secret_keys, connection, Change(url="http://127.0.0.1:8/"))
    assert await lane_of(town, connection) == (expected, 7 if state == "paused" else 0)


async def test_the_limit_holds_for_those_that_come_at_once(
    town: Town, secret_keys: SecretKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST", 2)

    async def create() -> None:
        async with tenant(town.pool, town.account) as conn:
            wanted = Change(url="http://127.0.0.1:8/")
            await room_of(secret_keys).create(conn, town.account, Kind.WEBHOOK, wanted, ACTOR)
            await asyncio.sleep(0.05)

    made = await asyncio.gather(*(create() for _ in range(4)), return_exceptions=True)
    assert made.count(None) == 2
    assert all(isinstance(one, InvalidInput) for one in made if one is not None)


async def test_what_nobody_asks_for_goes_a_piece_at_a_time_and_nothing_of_it_is_sent(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_up, "AT_ONCE", 3)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    parcels = await journeys(town, 3)
    waiting = len(await states(town, connection))
    (which,) = await town.rows("SELECT subscription_id FROM subscription WHERE account_id = $1")
    async with tenant(town.pool, town.account) as conn:
        await subscriptions.delete(conn, town.account, which[0], ACTOR)
    found = [state for state, _ in await states(town, connection)]
    assert (found.count("cancelled"), found.count("pending")) == (3, waiting - 3)

    # Who asks anew meanwhile is told of what happens from now on, and only when the rest is gone.
    await town.run(
        "INSERT INTO subscription (account_id, connection_id, event_type)"
        " VALUES ($1, $2, 'parcels.event.created') RETURNING 1",
        connection,
    )
    await town.observe(parcels[0], scan(1, "delivered", "NEW"))
    await town.tell()
    subscriber = Subscriber()
    await drain(town, deliverer(town, subscriber))
    await health.resume(town.pool, town.account, connection, ACTOR)
    await drain(town, deliverer(town, subscriber))
    assert subscriber.told == [], "resumed or not, what was given up is not sent"
    assert await lane_of(town, connection) == ("paused", 0)
    assert await give_up_the_rest(town.pool) == waiting - 3
    assert await lane_of(town, connection) == ("open", 0)
    await drain(town, deliverer(town, subscriber))
    assert [parcel for parcel, *_ in subscriber.told] == [parcels[0]]
    assert await give_up_the_rest(town.pool) == 0


async def test_a_pause_outlasts_what_is_given_up(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(giving_up, "AT_ONCE", 1)
    connection = await town.connect("email", Form.EMAIL, phases=["announced"])
    await town.register(to_address=ADDRESSED, announced_at=datetime.now(UTC))
    await town.register(to_address=ADDRESSED, announced_at=datetime.now(UTC))
    await town.tell()
    async with tenant(town.pool, town.account) as conn:
        await emails.end(conn, town.account, ACTOR)
    await health.pause(town.pool, town.account, connection, ACTOR)
    assert await give_up_the_rest(town.pool) == 1
    assert {state for state, _ in await states(town, connection)} == {"cancelled"}
    assert await lane_of(town, connection) == ("paused", 0)


async def test_attempts_are_forgotten_a_piece_at_a_time(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FORGOTTEN_AT_ONCE", 2)
    connection = await town.connect("webhook", Form.EVENT, ALL)
    await journeys(town, 1)
    await drain(town, deliverer(town, Subscriber()))
    counted = "SELECT count(*) FROM delivery_attempt WHERE account_id = $1"
    left = [await town.run(counted)]
    await town.run("DELETE FROM delivery WHERE account_id = $1 RETURNING 1")
    for _ in range(2):
        async with tenant(town.pool, town.account) as conn:
            assert await connections.forget_some(conn, town.account, connection)
        left.append(await town.run(counted))
    assert left == [left[0], left[0] - 2, left[0] - 4]
