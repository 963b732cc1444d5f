"""DHL end to end over a loopback socket, and the care with which its wordings are read."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.carriers.dhl_server import API_KEY, DhlServer, dhl_server

from milepost.carriers.connector import (
    Broken,
    Connector,
    Credential,
    Found,
    Item,
    NotFound,
    Outcome,
    Refused,
)
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.manifest import Manifest
from milepost.carriers.registry import Carrier, Catalogue
from milepost.tracking.vocabulary import Phase

KEY = Credential("operator", {"api_key": API_KEY})
NUMBER = "00340434161094015902"
ITEM = Item("1", NUMBER, postal_code="20095", destination_country="de")


def carrier() -> Carrier:
    found = Catalogue.load().get("dhl")
    assert found is not None
    return found


def manifest() -> Manifest:
    return carrier().manifest


def connector() -> Connector:
    made = carrier().connector()
    assert made is not None
    return made


def shipment(number: str = NUMBER, **more: Any) -> Mapping[str, Any]:
    event = {
        "timestamp": "2026-07-02T09:00:00",
        "statusCode": "transit",
        "status": "Processed at X",
    }
    return {"shipments": [{"id": number, "service": "parcel-de", "events": [event], **more}]}


@pytest.fixture
async def server() -> AsyncIterator[DhlServer]:
    async with dhl_server() as running:
        running.shipments[NUMBER] = shipment()
        yield running


async def ask(server: DhlServer, item: Item = ITEM, credential: Credential = KEY) -> Outcome:
    # Little time for what answers too late, and as much as in use for all else.
    seconds = 1.0 if server.mood == "slow" else 20.0
    async with Fetcher(routes=server.routes, total_seconds=seconds) as fetcher:
        return (await connector().ask([item], credential, fetcher))[item]


async def test_a_known_number_is_found(server: DhlServer) -> None:
    outcome = await ask(server)
    assert isinstance(outcome, Found)
    assert outcome.complete
    assert outcome.raw.startswith(b'{"shipments"')
    assert [scan.moment.instant for scan in outcome.scans] == [datetime(2026, 7, 2, 7, tzinfo=UTC)]


async def test_the_question_is_as_documented(server: DhlServer) -> None:
    credential = Credential("operator", {"api_key": API_KEY, "service": "parcel-de"})
    await ask(server, Item("1", "0034 0434 1610 9401 5902", "20095", "", "de"), credential)
    assert server.asked == [
        {
            "trackingNumber": NUMBER,
            "language": "en",
            "service": "parcel-de",
            "recipientPostalCode": "20095",
            "requesterCountryCode": "DE",
            "key": API_KEY,
        }
    ]


async def test_an_unknown_number_is_not_found(server: DhlServer) -> None:
    assert await ask(server, Item("1", "7000000001")) == NotFound()


async def test_a_wrong_key_is_refused_and_says_so(server: DhlServer) -> None:
    outcome = await ask(server, credential=Credential("operator", {"api_key": "wrong"}))
    assert isinstance(outcome, Refused)
    assert outcome.credential_refused


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("", 60), ("999999999", 86_400)])
async def test_over_quota_waits_as_told(server: DhlServer, header: str, seconds: float) -> None:
    server.calls_left, server.retry_after = 0, header
    outcome = await ask(server)
    assert isinstance(outcome, Refused)
    assert not outcome.credential_refused
    assert outcome.retry_after == seconds


async def test_after_a_refusal_nobody_else_is_asked(server: DhlServer) -> None:
    server.calls_left = 1
    items = [Item(str(n), NUMBER) for n in range(5)]
    async with Fetcher(routes=server.routes) as fetcher:
        outcomes = await connector().ask(items, KEY, fetcher)
    assert len(server.asked) == 2
    assert [type(outcomes[item]) for item in items] == [Found] + [Refused] * 4


@pytest.mark.parametrize(
    ("mood", "why", "lane_wide"),
    [
        ("down", "answered 500", True),
        ("slow", "did not answer within 1 s", True),
        ("maintenance", "no JSON", True),
        ("cut", "no JSON", True),
        ("huge", "longer than 1048576 bytes", True),
        ("moved", "answered 302", True),
        ("proxy", "no JSON", True),
        ("empty", "has the number", False),
    ],
)
async def test_trouble_is_broken_and_never_empty(
    server: DhlServer, mood: str, why: str, lane_wide: bool
) -> None:
    server.mood = mood
    outcome = await ask(server)
    assert isinstance(outcome, Broken)
    assert why in outcome.why
    assert outcome.lane_wide is lane_wide
    assert API_KEY not in outcome.why
    assert ITEM.postal_code not in outcome.why


async def test_nobody_there_is_broken() -> None:
    async with dhl_server() as gone:
        pass
    outcome = await ask(gone)
    assert isinstance(outcome, Broken)
    assert outcome.lane_wide


async def test_another_parcels_answer_is_not_ours(server: DhlServer) -> None:
    server.shipments[NUMBER] = shipment("99999999999999999999")
    outcome = await ask(server)
    assert isinstance(outcome, Broken)
    assert not outcome.lane_wide


async def test_many_questions_share_few_connections(server: DhlServer) -> None:
    async with Fetcher(routes=server.routes, per_host=2) as fetcher:
        asks = (connector().ask([Item(str(n), NUMBER)], KEY, fetcher) for n in range(20))
        await asyncio.gather(*asks)
    assert len(server.asked) == 20
    assert len(server.connections) <= 2


WORDINGS = [
    ("delivered", "The shipment has been successfully delivered", "delivered none none"),
    ("delivered", "Delivered to your neighbor", "delivered none neighbour"),
    ("delivered", "Picked up from the PACKSTATION by the recipient", "delivered none locker"),
    ("delivered", "Collected at the DHL ServicePoint", "delivered none pup"),
    ("delivered", "Ready for collection at the ServicePoint", "pup none pup"),
    ("delivered", "Placed in the letterbox", "delivered none mailbox"),
    ("delivered", "Left at the agreed location", "delivered none safeplace"),
    ("delivered", "Returned to the sender", "delivered returned_sender sender"),
    ("delivered", "Delivered, the parcel was not damaged", "delivered none none"),
    ("transit", "Shipment will be delivered to a neighbour", "in_transit none none"),
    ("transit", "The recipient picked up nothing", "in_transit none none"),
    ("transit", "The shipment is ready for pick-up at the retail outlet", "pup none pup"),
    ("transit", "It is on its way to the PACKSTATION", "in_transit none none"),
    ("transit", "The shipment was posted by the sender at the PACKSTATION", "dropped none none"),
    ("transit", "The shipment has been picked up", "accepted none none"),
    ("transit", "Shipment is scheduled to be picked up", "in_transit none none"),
    ("transit", "With delivery courier", "in_delivery none none"),
    ("transit", "Clearance processing complete at MADRID - SPAIN", "customs none passed"),
    ("transit", "Customs clearance is not yet complete", "customs none in_progress"),
    ("transit", "Clearance delay", "customs customs_issue delay"),
    ("transit", "Shipment on hold", "in_transit hold none"),
    ("transit", "Recipient has been informed", "none none additional_information"),
    ("transit", "Parcel delivered to neighbour depot", "in_transit none none"),
    ("failure", "Something went wrong", "attempted delivery_delay undeliverable"),
    ("failure", "Delivery attempted; recipient not home", "attempted delivery_delay not_home"),
    ("failure", "Consignee premises closed", "attempted delivery_delay company_closed"),
    ("failure", "Delivery refused by recipient", "attempted refused receiver"),
    ("failure", "The address is incomplete", "attempted address_error incorrect_information"),
    ("failure", "Returned to shipper", "in_transit returned_sender in_progress"),
    ("failure", "The shipment was damaged", "in_transit damaged damaged"),
    ("failure", "The parcel is lost", "in_transit missing none"),
    ("failure", "The collection period has expired", "pup pup_expiration expired"),
    ("pre-transit", "DELIVERED", "announced none none"),
    ("pre-transit", "The shipment was cancelled", "cancelled cancelled none"),
    ("unknown", "Delivered", "unknown unknown unknown"),
    ("", "Delivered", "unknown unknown unknown"),
]


@pytest.mark.parametrize(("code", "text", "expected"), WORDINGS)
def test_a_wording_is_read_with_care(code: str, text: str, expected: str) -> None:
    _, reading = manifest().classify(code, text)
    assert f"{reading.phase} {reading.exception} {reading.sub_status}" == expected


def test_only_the_state_delivered_makes_a_parcel_delivered() -> None:
    for rule in manifest().rules.wording:
        if rule.reading.phase is Phase.DELIVERED:
            assert rule.codes == ("delivered",), rule.id
