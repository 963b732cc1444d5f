"""A DHL number from registration to delivery, through a server that speaks DHL's interface."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from tests.carriers.dhl_server import API_KEY, DhlServer, dhl_server
from tests.flows.conftest import House
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.db.pool import Pool, tenant
from milepost.monitoring.claim import Lane

NUMBER = "JVGL0999999990"


def shipment(*events: tuple[str, str, str]) -> dict[str, Any]:
    """A unified answer with (time, statusCode, text) events, oldest first."""
    place = {"address": {"countryCode": "NL", "addressLocality": "Zwolle"}}
    told = [
        {
            "timestamp": time,
            "location": place,
            "statusCode": code,
            "status": text,
            "description": text,
        }
        for time, code, text in reversed(events)
    ]
    return {
        "shipments": [{"id": NUMBER, "service": "parcel-nl", "status": told[0], "events": told}]
    }


TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def days_ago(days: int, hour: int) -> str:
    """A time as DHL prints it."""
    return f"{TODAY - timedelta(days=days, hours=-hour):%Y-%m-%dT%H:%M:%S}"


LABEL = (days_ago(4, 10), "pre-transit", "The shipment data was announced")
SORTED = (days_ago(2, 3), "transit", "The shipment was processed in the parcel center")
DELIVERED = (days_ago(1, 12), "delivered", "The shipment was delivered")


@pytest.fixture
async def dhl(house: House) -> AsyncIterator[DhlServer]:
    async with dhl_server() as server:
        house.fetcher.set_routes(server.routes)
        yield server


@pytest.fixture
async def with_key(dhl: DhlServer, admin_pool: Pool, secret_keys: SecretKeys) -> None:
    await CredentialStore(admin_pool, secret_keys).set_for_operator("dhl", login())


def login(key: str = API_KEY) -> dict[str, str]:
    """With a quota that makes nobody wait: of those that DHL gives everybody the next comes after
    six minutes. One of the day, so that a second holds far fewer than it may, and no start of a
    request on a busy machine is too late."""
    return {"api_key": key, "calls_per_second": "1000", "calls_per_day": "1000000"}


async def told(house: House, number: str = NUMBER) -> dict[str, Any]:
    async with tenant(house.app_pool, house.account) as conn:
        epoch = await conn.fetchval("SELECT render_epoch FROM account")
    found = await house.reader.read(house.account, number, None, epoch)
    assert found is not None
    answer: dict[str, Any] = orjson.loads(found.body)
    return answer


async def start(house: House, number: str = NUMBER) -> None:
    await house.registrar.register(
        house.account, registration(tracking_number=number, announced_at=TODAY - timedelta(days=5))
    )


@pytest.mark.usefixtures("with_key")
async def test_a_number_is_followed_to_delivery(house: House, dhl: DhlServer) -> None:
    await start(house)
    await house.check_everything("dhl")
    # DHL doesn't know it yet: no error, but five days after its announcement it should.
    assert (await told(house))["status"] == "ANNOUNCED_UNCOLLECTED"
    dhl.shipments[NUMBER] = shipment(LABEL, SORTED)
    await house.check_everything("dhl")
    before = await told(house)
    dhl.shipments[NUMBER] = shipment(LABEL, SORTED, DELIVERED)
    await house.check_everything("dhl")
    after = await told(house)
    assert after["status"] == "DELIVERED"
    assert after["monitoring"]["state"] == "ended"
    assert after["events"][0]["status_code"] == "delivered"
    assert len(after["events"]) == len(before["events"]) + 1
    assert dhl.asked[-1]["recipientPostalCode"] == "5611 EM"


async def test_parcels_wait_for_the_key_and_start_when_it_comes(
    house: House, dhl: DhlServer, admin_pool: Pool, secret_keys: SecretKeys
) -> None:
    await start(house)
    assert await house.check_everything("dhl") == 0
    assert (await told(house))["monitoring"]["state"] == "waiting_for_credentials"
    assert await house.due() == []
    await CredentialStore(admin_pool, secret_keys).set_for_operator("dhl", login())
    assert [lane.carrier_code for lane in await house.due()] == ["dhl"]
    dhl.shipments[NUMBER] = shipment(LABEL, SORTED)
    assert await house.checker.check(Lane(house.account, "dhl")) == 1
    answer = await told(house)
    assert answer["monitoring"]["state"] == "watching"
    assert len(answer["events"]) == 3


async def test_an_accounts_own_key_goes_before_the_operators(
    house: House, dhl: DhlServer, admin_pool: Pool, secret_keys: SecretKeys
) -> None:
    store = CredentialStore(admin_pool, secret_keys)
    await store.set_for_operator("dhl", login("the-operators"))
    await store.set_for_account(house.account, "dhl", login())
    await start(house)
    await house.checker.check(Lane(house.account, "dhl"))
    assert dhl.asked[-1]["key"] == API_KEY


async def test_a_refused_key_is_said_and_mended(
    house: House, dhl: DhlServer, admin_pool: Pool, secret_keys: SecretKeys
) -> None:
    store = CredentialStore(admin_pool, secret_keys)
    await store.set_for_operator("dhl", login("wrong"))
    await start(house)
    await house.check_everything("dhl")
    monitoring = (await told(house))["monitoring"]
    assert monitoring["state"] == "waiting_for_credentials"
    assert "refused" in monitoring["reason"]
    assert await house.due() == []
    await store.set_for_operator("dhl", login())
    assert await house.due() != []
    assert (await told(house))["monitoring"]["state"] == "watching"


@pytest.mark.usefixtures("with_key")
async def test_429_pauses_the_lane_as_long_as_it_says(house: House, dhl: DhlServer) -> None:
    await start(house)
    await start(house, "JVGL0999999991")
    dhl.calls_left = 0
    dhl.retry_after = "120"
    await house.check_everything("dhl")
    assert await house.due() == []
    lane = await house.worker_pool.fetchrow(
        "SELECT state, turn_at - now() BETWEEN interval '60 s' AND interval '121 s' AS soon "
        "FROM lane"
    )
    assert lane is not None
    assert (lane["state"], lane["soon"]) == ("open", True)
    asked = len(dhl.asked)
    await house.check_everything("dhl")
    assert len(dhl.asked) == asked, "the key's quota is held back even for a woken lane"


@pytest.mark.usefixtures("with_key")
async def test_a_broken_answer_changes_nothing_and_is_tried_again(
    house: House, dhl: DhlServer
) -> None:
    await start(house)
    dhl.shipments[NUMBER] = shipment(LABEL, SORTED)
    await house.check_everything("dhl")
    before = await told(house)
    for mood in ("down", "maintenance", "cut", "empty"):
        dhl.mood = mood
        await house.check_everything("dhl")
        assert await told(house) == before, mood
    dhl.mood = ""
    dhl.shipments[NUMBER] = shipment(LABEL, SORTED, DELIVERED)
    await house.check_everything("dhl")
    assert (await told(house))["status"] == "DELIVERED"


@pytest.mark.usefixtures("with_key")
async def test_an_unchanged_answer_writes_the_schedule_only(house: House, dhl: DhlServer) -> None:
    await start(house)
    dhl.shipments[NUMBER] = shipment(LABEL, SORTED)
    await house.check_everything("dhl")

    async def versions() -> tuple[Any, ...]:
        async with tenant(house.app_pool, house.account) as conn:
            parcel = await conn.fetchval("SELECT xmin::text FROM parcel")
            events = await conn.fetch("SELECT xmin::text FROM event ORDER BY sequence")
            watch = await conn.fetchval("SELECT last_checked_at FROM watch")
            return parcel, [row[0] for row in events], watch

    parcel, events, checked = await versions()
    await house.check_everything("dhl")
    parcel_again, events_again, checked_again = await versions()
    assert (parcel_again, events_again) == (parcel, events)
    assert checked_again > checked
