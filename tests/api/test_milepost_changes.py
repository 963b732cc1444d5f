"""Changing, steering and erasing parcels over our own API, on a real database."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from tests.api.fake_api import Answer, Client
from tests.api.own_api import PARCELS, own_api
from tests.api.samples import POST, V2, registration

from milepost.db.pool import Pool, tenant

PERSON = {
    "country_code": "NL",
    "postal_code": "1017CANARY",
    "name": "Canary Vos",
    "email": "canary@example.org",
    "city": "Canaryville",
}


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account) as (one, _):
        yield one


async def registered(client: Client, number: str = "SBX1", **more: Any) -> str:
    """A new sandbox parcel's id."""
    body = registration(number, **({"source_id": number} | more))
    body["tracking_number"]["carrier_code"] = "sandbox"
    assert (await client.post(POST, body)).status == 200
    return str((await client.get(f"{V2}{number}")).document["parcel_id"])


async def patch(client: Client, parcel_id: str, document: Any, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.ask("PATCH", f"{PARCELS}/{parcel_id}", orjson.dumps(document), named)


async def rows(pool: Pool, account: int, query: str) -> list[Any]:
    async with tenant(pool, account) as conn:
        return [tuple(row) for row in await conn.fetch(query)]


async def test_a_change_merges_and_is_shown_everywhere(
    client: Client, app_pool: Pool, account: int
) -> None:
    parcel_id = await registered(client, to_address=PERSON)
    answer = await patch(
        client,
        parcel_id,
        {
            "announced_at": "2026-01-06T10:00:00Z",
            "source_id": "other",
            "to_address": {"city": "Elsewhere", "email": None},
            "details": {"expected_delivery_date": "2026-01-09"},
        },
    )
    assert answer.status == 200, answer.body
    document = answer.document
    assert document["source_id"] == "other"
    assert document["to_address"] == {k: v for k, v in PERSON.items() if k != "email"} | {
        "city": "Elsewhere"
    }
    v3 = (await client.get(f"{POST}/SBX1")).document
    assert v3["announced_at"] == "2026-01-06T10:00:00Z"
    assert v3["details"]["expected_delivery_date"] == "2026-01-09"
    # A word of the old city finds it no more, one of the new does.
    assert len((await client.get(f"{PARCELS}?q=elsewhere")).document["data"]) == 1
    assert (await client.get(f"{PARCELS}?q=canaryville")).document["data"] == []
    ((actor, action, detail),) = await rows(
        app_pool, account, "SELECT actor, action, detail FROM audit"
    )
    assert (actor, action) == ("key:1", "change")
    assert detail["fields"] == [
        "announced_at",
        "source_id",
        "details",
        "to_address.city",
        "to_address.email",
    ]


async def test_a_new_number_is_asked_about_and_the_old_one_still_finds_it(
    client: Client, app_pool: Pool, account: int
) -> None:
    parcel_id = await registered(client, "WRONG")
    before = (await client.get(f"{V2}WRONG")).document["statuses"]
    async with tenant(app_pool, account) as conn:
        await conn.execute("UPDATE watch SET fence = 7, answer_hash = 'x', due_at = 'infinity'")
    answer = await patch(client, parcel_id, {"tracking_number": "RIGHT", "carrier_code": "dhl"})
    assert answer.document["tracking_number"] == "RIGHT"
    assert answer.document["carrier_code"] == "dhl"
    # A list of the new carrier's parcels has it, one of the old carrier's no more.
    for carrier, listed in (("dhl", 1), ("sandbox", 0)):
        page = await client.get(f"{PARCELS}?carrier_code={carrier}")
        assert len(page.document["data"]) == listed
    assert (await client.get(f"{V2}RIGHT")).document["statuses"] == before
    assert (await client.get(f"{V2}WRONG")).document["parcel_id"] == parcel_id
    watch = "SELECT carrier_code, fence, answer_hash, due_at <= now() FROM watch"
    assert await rows(app_pool, account, watch) == [("dhl", 8, None, True)]
    lanes = await rows(app_pool, account, "SELECT carrier_code FROM lane ORDER BY 1")
    assert lanes == [("dhl",), ("sandbox",)]
    # The old number is free for another parcel, and that one is found by it from then on.
    other = await registered(client, "WRONG", source_id="other")
    assert (await client.get(f"{V2}WRONG")).document["parcel_id"] == other


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tracking_number": " other "}, "tracking_number"),
        ({"source_id": "OTHER"}, "source_id"),
    ],
)
async def test_a_name_that_is_taken_is_refused_and_changes_nothing(
    client: Client, change: dict[str, str], field: str
) -> None:
    parcel_id = await registered(client, "MINE")
    await registered(client, "OTHER")
    before = (await client.get(f"{PARCELS}/{parcel_id}")).document
    answer = await patch(client, parcel_id, change | {"details": {"brand_id": 3}})
    assert (answer.status, answer.document["code"]) == (409, "taken")
    assert answer.document["errors"][0]["loc"][1] == field
    assert (await client.get(f"{PARCELS}/{parcel_id}")).document["details"] == before["details"]


@pytest.mark.parametrize(
    ("days", "status", "current"), [(119, 409, [True, True]), (121, 200, [True, False])]
)
@pytest.mark.parametrize("name", ["tracking_number", "source_id"])
async def test_a_name_is_free_again_as_registration_has_it(
    client: Client,
    app_pool: Pool,
    account: int,
    name: str,
    days: int,
    status: int,
    current: list[bool],
) -> None:
    mine, over = await registered(client, "MINE"), await registered(client, "OVER")
    async with tenant(app_pool, account) as conn:
        ended = "UPDATE parcel SET ended_at = now() - $1 * interval '1 day' WHERE parcel_id = $2"
        await conn.execute(ended, days, int(over))
    answer = await patch(client, mine, {name: "OVER"})
    assert answer.status == status, answer.body
    kept = "SELECT is_current FROM parcel ORDER BY parcel_id"
    assert [one for (one,) in await rows(app_pool, account, kept)] == current
    found = mine if status == 200 and name == "tracking_number" else over
    held = "SELECT parcel_id FROM tracked_number WHERE number_key = 'OVER' AND is_current"
    if name == "tracking_number":
        assert await rows(app_pool, account, held) == [(int(found),)]


@pytest.mark.parametrize(
    ("document", "loc"),
    [
        ([], ["body"]),
        ({"adress": {}}, ["body", "adress"]),
        ({"to_address": None}, ["body", "to_address"]),
        ({"to_address": {"postal_code": None}}, ["body", "to_address", "postal_code"]),
        ({"to_address": 5}, ["body", "to_address"]),
        ({"announced_at": "9999-01-01T00:00:00Z"}, ["body", "announced_at"]),
        ({"tracking_number": 5}, ["body", "tracking_number"]),
        ({"tracking_number": "\u202e"}, ["body", "tracking_number", "tracking_number"]),
        ({"tracking_number": None, "carrier_code": "dhl"}, ["body", "tracking_number"]),
        ({"carrier_code": 5}, ["body", "tracking_number", "carrier_code"]),
        ({"parcel_items": [{}]}, ["body", "parcel_items", 0, "description"]),
        ({"account_id": 2}, ["body", "account_id"]),
        ({"shipment": {"order_number": "7"}}, ["body", "shipment", "order_number"]),
    ],
)
async def test_a_wrong_change_names_the_field(
    client: Client, document: Any, loc: list[Any]
) -> None:
    parcel_id = await registered(client)
    answer = await patch(client, parcel_id, document)
    assert answer.status == 422, answer.body
    assert answer.document["errors"][0]["loc"] == loc


@pytest.mark.parametrize(
    "flat", [{"value": 7, "currency": "USD"}, {"insured_value": {"value": 7, "currency": "USD"}}]
)
async def test_an_insurance_changes_in_either_form(client: Client, flat: dict[str, Any]) -> None:
    parcel_id = await registered(client, insurance={"value": 5, "currency": "EUR"})
    answer = await patch(client, parcel_id, {"insurance": flat})
    assert answer.document["insurance"]["insured_value"] == {"value": "7", "currency": "USD"}


async def test_a_change_that_changes_nothing_writes_nothing(
    client: Client, app_pool: Pool, account: int
) -> None:
    parcel_id = await registered(client)
    assert (await patch(client, parcel_id, {"source_id": "SBX1"})).status == 200
    assert (await patch(client, parcel_id, {})).status == 200
    assert await rows(app_pool, account, "SELECT revision FROM parcel") == [(1,)]
    assert await rows(app_pool, account, "SELECT FROM audit") == []


async def test_a_kept_key_gives_the_first_answer(client: Client) -> None:
    parcel_id = await registered(client)
    first = await patch(client, parcel_id, {"source_id": "a"}, idempotency_key="k")
    await patch(client, parcel_id, {"source_id": "b"})
    again = await patch(client, parcel_id, {"source_id": "a"}, idempotency_key="k")
    assert again.body == first.body
    other = await patch(client, parcel_id, {"source_id": "c"}, idempotency_key="k")
    assert (other.status, other.document["code"]) == (422, "idempotency_key_reuse")
    assert (await client.get(f"{PARCELS}/{parcel_id}")).document["source_id"] == "b"


@pytest.mark.parametrize("verb", ["PATCH", "DELETE", "check", "stop", "resume", "events", "GET"])
async def test_no_other_account_reaches_a_parcel(
    client: Client, dsn: str, account: int, app_pool: Pool, admin_pool: Pool, verb: str
) -> None:
    parcel_id = await registered(client, to_address=PERSON)
    insert = "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    async with own_api(dsn, await admin_pool.fetchval(insert)) as (stranger, _):
        for asked in (parcel_id, "999999", "0", "x", "9" * 30):
            answer = await ask(stranger, verb, asked)
            assert (answer.status, answer.document["code"]) == (404, "not_found"), asked
    assert await rows(app_pool, account, "SELECT revision FROM parcel") == [(1,)]
    assert await rows(app_pool, account, "SELECT FROM audit") == []


async def ask(client: Client, verb: str, parcel_id: str) -> Answer:
    if verb in ("PATCH", "DELETE"):
        body = orjson.dumps({"source_id": "x"}) if verb == "PATCH" else b""
        return await client.ask(verb, f"{PARCELS}/{parcel_id}", body)
    if verb == "GET":
        return await client.get(f"/api/milepost/v1/erasures/{parcel_id}")
    told = {"events": [{"event_at": "2026-01-06T10:00:00Z", "phase": "accepted"}]}
    return await client.post(f"{PARCELS}/{parcel_id}/{verb}", told)


async def test_stopped_and_resumed(client: Client, app_pool: Pool, account: int) -> None:
    parcel_id = await registered(client)
    stopped = await client.post(f"{PARCELS}/{parcel_id}/stop", {"reason": "lost the order"})
    assert stopped.document["monitoring"] == {"state": "stopped", "reason": "lost the order"}
    assert stopped.document["next_check_at"] is None
    v3 = (await client.get(f"{POST}/SBX1")).document
    assert v3["monitoring"]["state"] == "stopped"
    again = await client.post(f"{PARCELS}/{parcel_id}/stop", {"reason": "other"})
    assert again.document["monitoring"]["reason"] == "lost the order"
    assert (await client.post(f"{PARCELS}/{parcel_id}/check", {})).status == 409
    resumed = await client.ask("POST", f"{PARCELS}/{parcel_id}/resume")
    assert resumed.document["monitoring"]["state"] == "watching"
    due = "SELECT due_at <= now(), fence FROM watch"
    assert await rows(app_pool, account, due) == [(True, 1)]
    actions = await rows(app_pool, account, "SELECT action FROM audit ORDER BY audit_id")
    assert actions == [("stop",), ("resume",)]


async def test_check_makes_it_due_and_leaves_alone_who_is_being_asked(
    client: Client, app_pool: Pool, account: int
) -> None:
    parcel_id = await registered(client)
    due = "SELECT due_at <= now() FROM watch"
    for lease, expected in (("NULL", True), ("now() + interval '1 h'", False)):
        async with tenant(app_pool, account) as conn:
            await conn.execute(f"UPDATE watch SET due_at = 'infinity', lease_until = {lease}")
        assert (await client.ask("POST", f"{PARCELS}/{parcel_id}/check")).status == 200
        assert await rows(app_pool, account, due) == [(expected,)]
