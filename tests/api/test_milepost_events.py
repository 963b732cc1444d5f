"""Events that a merchant tells: an own fleet, the house, a claim. One way into the timeline."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.api.fake_api import Answer, Client
from tests.api.own_api import PARCELS, own_api
from tests.api.samples import POST, V2, registration

from milepost.api.own_events import OwnEvent
from milepost.db.pool import Pool, tenant
from milepost.tracking.vocabulary import Phase, StatusType

AT = "2026-01-06T10:00:00Z"


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account) as (one, _):
        yield one


@pytest.fixture
async def parcel_id(client: Client) -> str:
    body = registration("FLEET1")
    body["tracking_number"]["carrier_code"] = "own_fleet"
    assert (await client.post(POST, body)).status == 200
    return str((await client.get(f"{V2}FLEET1")).document["parcel_id"])


async def tell(client: Client, parcel_id: str, *events: dict[str, Any]) -> Answer:
    return await client.post(f"{PARCELS}/{parcel_id}/events", {"events": list(events)})


async def test_an_own_fleet_takes_a_parcel_home(client: Client, parcel_id: str) -> None:
    place = {"city": "Breda", "country_code": "nl"}
    answer = await tell(
        client,
        parcel_id,
        {"event_at": AT, "phase": "accepted", "text": "In the van", "location": place},
        {"event_at": "2026-01-06T12:30:00+01:00", "phase": "delivered", "sub_status": "neighbour"},
    )
    assert answer.status == 200, answer.body
    assert answer.document["status"]["code"] == "DELIVERED"
    v3 = (await client.get(f"{POST}/FLEET1")).document
    newest, before, *_ = [one for one in v3["events"] if one["event_type"] == "carrier"]
    assert (newest["status_code"], newest["sub_status_code"]) == ("delivered", "neighbour")
    assert newest["event_at"] == "2026-01-06T11:30:00Z"
    assert before["location_details"]["city"] == "Breda"
    statuses = (await client.get(f"{V2}FLEET1")).document["statuses"]
    shown = [(one["carrier_code"], one["carrier_message"]) for one in statuses]
    assert ("own_fleet", "In the van") in shown
    assert statuses[0]["parent_status"] == "delivered"


async def test_told_again_is_told_once(
    client: Client, parcel_id: str, app_pool: Pool, account: int
) -> None:
    event = {"event_at": AT, "phase": "sorted", "code": "S1"}
    other_clock = event | {"event_at": "2026-01-06T11:00:00+01:00"}
    await asyncio.gather(*(tell(client, parcel_id, event) for _ in range(4)))
    await tell(client, parcel_id, event, other_clock | {"code": " s1 "})
    async with tenant(app_pool, account) as conn:
        told = "SELECT count(*) FROM event WHERE event_type = 'carrier'"
        # Another offset prints another minute on the carrier's clock: in doubt, two events.
        assert await conn.fetchval(told) == 2


async def test_a_claim_moves_nothing_and_keeps_what_it_is_about(
    client: Client, parcel_id: str
) -> None:
    moved = await tell(client, parcel_id, {"event_at": AT, "phase": "in_transit"})
    claim = {
        "event_type": "claim",
        "event_at": "2026-01-07",
        "exception": "claim",
        "reference": "C-1",
        "amount": {"value": 12.5, "currency": "eur"},
    }
    answer = await tell(client, parcel_id, claim)
    # But for the moment: whatever is overdue by now was so before.
    assert answer.document["status"]["phase"] == "in_transit"
    assert answer.document["status"]["code"] == moved.document["status"]["code"]
    explained = (await client.get(f"{PARCELS}/{parcel_id}/explain")).document["events"]
    (told,) = [one for one in explained if one["event_type"] == "claim"]
    assert told["raw_fields"] == {"reference": "C-1", "amount": "12.5", "currency": "EUR"}
    v2 = (await client.get(f"{V2}FLEET1")).document["statuses"]
    assert "" in {one["carrier_code"] for one in v2}


SOON = (datetime.now(UTC) + timedelta(days=3)).isoformat()


@pytest.mark.parametrize(
    ("given", "loc"),
    [
        (None, ["body", "events"]),
        ([], ["body", "events"]),
        ([{"event_at": AT, "phase": "sorted"}] * 101, ["body", "events"]),
        ([5], ["body", "events", 0]),
        ([{"phase": "sorted"}], ["body", "events", 0, "event_at"]),
        ([{"event_at": "now", "phase": "sorted"}], ["body", "events", 0, "event_at"]),
        ([{"event_at": SOON, "phase": "sorted"}], ["body", "events", 0, "event_at"]),
        ([{"event_at": AT, "phase": "stolen"}], ["body", "events", 0, "phase"]),
        (
            [{"event_at": AT, "phase": "sorted", "event_type": "calculated"}],
            ["body", "events", 0, "event_type"],
        ),
        ([{"event_at": AT, "phase": "sorted", "reference": "C"}], ["body", "events", 0]),
        ([{"event_at": AT, "event_type": "claim"}], ["body", "events", 0]),
        ([{"event_at": AT, "phase": "sorted", "text": "x" * 1001}], ["body", "events", 0, "text"]),
        (
            [{"event_at": AT, "phase": "sorted", "location": {"country_code": "NLD"}}],
            ["body", "events", 0, "location", "country_code"],
        ),
    ],
)
async def test_a_wrong_event_names_the_field(
    client: Client, parcel_id: str, given: Any, loc: list[Any]
) -> None:
    document = {} if given is None else {"events": given}
    answer = await client.post(f"{PARCELS}/{parcel_id}/events", document)
    assert answer.status == 422, answer.body
    assert answer.document["errors"][0]["loc"] == loc
    assert (await client.get(f"{PARCELS}/{parcel_id}")).document["status"]["code"] == "ANNOUNCED"


async def test_a_wrong_word_is_told_the_right_ones(client: Client, parcel_id: str) -> None:
    answer = await tell(client, parcel_id, {"event_at": AT, "phase": "stolen"})
    (said,) = answer.document["errors"]
    assert all(f"'{phase}'" in said["msg"] for phase in Phase)
    assert "^" not in said["msg"]
    described = OwnEvent.model_json_schema()["properties"]
    assert described["phase"]["enum"] == sorted(Phase)
    assert {"enum": sorted(StatusType), "type": "string"} in described["status_type"]["anyOf"]


@pytest.mark.parametrize(
    "at",
    [
        "1990-01-01",
        "2026-01-06 10:00",
        "2026-01-06t10:00:00.123456789z",
        "2026-01-06T10:00+0530",
        "2026-01-06T10:00:00+05",
        "2024-02-29T23:59:59-23:59",
    ],
)
async def test_every_spelling_of_a_time_is_taken(client: Client, parcel_id: str, at: str) -> None:
    answer = await tell(client, parcel_id, {"event_at": at, "phase": "sorted"})
    assert answer.status == 200, answer.body


async def test_a_change_and_a_record_at_once_lose_nothing(
    client: Client, parcel_id: str, app_pool: Pool, account: int
) -> None:
    async def change(turn: int) -> None:
        body = f'{{"to_address": {{"name": "N{turn}"}}, "source_id": "s{turn}"}}'.encode()
        while (await client.ask("PATCH", f"{PARCELS}/{parcel_id}", body)).status == 503:
            await asyncio.sleep(0.01)

    async def record(turn: int) -> None:
        event = {"event_at": f"2026-01-06T10:{turn:02d}:00Z", "phase": "sorted"}
        while (await tell(client, parcel_id, event)).status == 503:
            await asyncio.sleep(0.01)

    for turn in range(10):
        await asyncio.gather(change(turn), record(turn))
        document = (await client.get(f"{PARCELS}/{parcel_id}")).document
        assert (document["source_id"], document["to_address"]["name"]) == (f"s{turn}", f"N{turn}")
        told = [one for one in document["events"] if one["event_type"] == "carrier"]
        assert len(told) == turn + 1
        v3 = (await client.get(f"{POST}/FLEET1")).document
        assert v3["source_id"] == f"s{turn}"
