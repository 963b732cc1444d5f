"""Parcels that are asked about together, from registration to the status of each."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web
from tests.carriers.loopback import listening
from tests.flows.conftest import House
from tests.parcels.conftest import registration

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import Credential, Found, Item
from milepost.carriers.exchange import Answer, Request
from milepost.db.pool import Pool, tenant
from milepost.errors import NoSlot

CARRIER = "fedex"
HOST = "apis.fedex.com"
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def result(number: str, *codes: str) -> dict[str, Any]:
    """What FedEx says of a number: an event an hour, the newest first."""
    events = [
        {
            "date": f"{TODAY - timedelta(days=1, hours=-hour):%Y-%m-%dT%H:%M:%S}+00:00",
            "eventType": code,
            "eventDescription": code,
        }
        for hour, code in enumerate(codes)
    ]
    back = {"type": "RETURNED_TO_SHIPPER_TRACKING_NUMBER", "values": [f"{number}9"]}
    service = {"description": "FedEx Ground"}
    told: dict[str, Any] = {"scanEvents": events[::-1], "serviceDetail": service}
    if "RS" in codes:
        told["additionalTrackingInfo"] = {"packageIdentifiers": [back]}
    if not codes:
        told = {"error": {"code": "TRACKING.TRACKINGNUMBER.NOTFOUND"}}
    return {"trackingNumber": number, "trackResults": [told]}


class FedEx:
    """Knows each number's codes; one that is no number spoils the question it is in."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[str, ...]] = {}
        self.asked: list[list[str]] = []

    async def token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 3599})

    async def track(self, request: web.Request) -> web.Response:
        told = orjson.loads(await request.read())["trackingInfo"]
        numbers = [one["trackingNumberInfo"]["trackingNumber"] for one in told]
        self.asked.append(numbers)
        if not all(map(str.isdigit, numbers)):
            errors = {"errors": [{"code": "TRACKING.TRACKINGNUMBER.INVALID"}]}
            return web.json_response(errors, status=400)
        results = [result(number, *self.known.get(number, ())) for number in numbers]
        return web.json_response({"output": {"completeTrackResults": results}})


@pytest.fixture
async def fedex(house: House, admin_pool: Pool, secret_keys: SecretKeys) -> AsyncIterator[FedEx]:
    fields = {"client_id": "i", "client_secret": "s", "calls_per_second": "1000"}
    # As in ``test_dhl``: no request is too late for its second.
    login = {**fields, "calls_per_day": "1000000"}
    await CredentialStore(admin_pool, secret_keys).set_for_operator(CARRIER, login)
    side = FedEx()
    routes = [
        web.post("/oauth/token", side.token),
        web.post("/track/v1/trackingnumbers", side.track),
    ]
    async with listening(routes) as base_url:
        house.fetcher.set_routes({HOST: base_url})
        yield side


async def register(house: House, *numbers: str) -> None:
    for number in numbers:
        wanted = registration(
            carrier_code=CARRIER, tracking_number=number, announced_at=TODAY - timedelta(days=2)
        )
        await house.registrar.register(house.account, wanted)


async def status(house: House, number: str) -> str:
    async with tenant(house.app_pool, house.account) as conn:
        epoch = await conn.fetchval("SELECT render_epoch FROM account")
    found = await house.reader.read(house.account, number, None, epoch)
    assert found is not None
    return str(orjson.loads(found.body)["status"])


async def test_a_lane_is_asked_in_questions_of_thirty(house: House, fedex: FedEx) -> None:
    numbers = [f"7713{place:08d}" for place in range(45)]
    fedex.known = dict.fromkeys(numbers[:44], ("OC", "PU", "DL"))
    await register(house, *numbers)
    assert await house.check_everything(CARRIER) == 45
    assert sorted(map(len, fedex.asked)) == [15, 30]
    assert sorted(number for some in fedex.asked for number in some) == numbers
    assert {await status(house, number) for number in numbers[:44]} == {"DELIVERED"}
    assert await status(house, numbers[44]) != "DELIVERED"


async def test_a_number_that_spoils_a_question_does_not_stop_the_others(
    house: House, fedex: FedEx
) -> None:
    numbers = [f"7713{place:08d}" for place in range(3)]
    fedex.known = dict.fromkeys(numbers, ("IT",))
    await register(house, "NOTANUMBER", *numbers)
    assert await house.check_everything(CARRIER) == 4
    assert len(fedex.asked[0]) == 4
    assert sorted(fedex.asked[1:]) == sorted([one] for one in fedex.asked[0])
    assert {await status(house, number) for number in numbers} == {"SHIPMENT_ON_ROUTE"}


async def test_the_number_of_the_way_back_is_kept_beside_the_parcel(
    house: House, fedex: FedEx
) -> None:
    fedex.known = {"771300000001": ("PU",)}
    await register(house, "771300000001")
    await house.check_everything(CARRIER)
    assert await beside(house) == {"service": "FedEx Ground"}
    fedex.known = {"771300000001": ("PU", "RS")}
    await house.check_everything(CARRIER)
    assert await beside(house) == {
        "service": "FedEx Ground",
        "related_numbers": [{"number": "7713000000019", "kind": "return", "carrier": ""}],
    }


async def beside(house: House) -> Any:
    async with tenant(house.app_pool, house.account) as conn:
        told = await conn.fetchval("SELECT extra::text FROM parcel")
    return orjson.loads(told)


async def test_answers_before_the_quota_ended_are_kept(house: House) -> None:
    """A question that is refused is asked again number by number, as far as the quota goes."""

    class Line:
        left = 3

        async def fetch(self, request: Request) -> Answer:
            if request.url.endswith("/oauth/token"):
                return Answer(200, {}, b'{"access_token": "t"}')
            if not self.left:
                raise NoSlot("quota", 60)
            self.left -= 1
            told = orjson.loads(request.body)["trackingInfo"]
            if len(told) > 1:
                return Answer(400, {}, b'{"errors": []}')
            number = told[0]["trackingNumberInfo"]["trackingNumber"]
            document = {"output": {"completeTrackResults": [result(number, "PU")]}}
            return Answer(200, {}, orjson.dumps(document))

    found = house.catalogue.get(CARRIER)
    made = found.connector() if found else None
    assert made is not None
    items = [Item(str(place), f"7713{place:08d}") for place in range(4)]
    told = await made.ask(items, Credential("operator", {"client_id": "i"}), Line())
    assert list(told) == items[:2]
    assert all(isinstance(one, Found) for one in told.values())
    exhausted = Line()
    exhausted.left = 0
    with pytest.raises(NoSlot):
        await made.ask(items, Credential("operator", {"client_id": "i"}), exhausted)
