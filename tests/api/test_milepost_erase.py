"""Erasing a parcel: nothing of the person is left anywhere, and nobody brings it back."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.api.fake_api import Client
from tests.api.own_api import PARCELS, own_api
from tests.api.samples import POST, V2, registration
from tests.conftest import execute
from tests.sharding_rules import TENANT
from tests.tracking.order_free import poll, scan_at

from milepost.db.pool import Pool, tenant
from milepost.intake.patience import patiently
from milepost.parcels.statements import CHANGES
from milepost.wiring import ApiParts

# Tables with a parcel_id that hold nothing of a person.
KEPT = {"audit", "erasure", "parcel_timing", "usage_mark"}
CANARY = "canary"
PERSON = {
    "country_code": "NL",
    "postal_code": "1017CANARY",
    "name": "Canary Vos",
    "email": "canary@example.org",
    "phone_number": "+31canary",
    "address_line_1": "Canarystraat 1",
}


@pytest.fixture
async def house(dsn: str, account: int) -> AsyncIterator[tuple[Client, ApiParts]]:
    async with own_api(dsn, account) as both:
        yield both


def given(number: str = "CANARY1", **more: Any) -> dict[str, Any]:
    document = registration(number, **({"to_address": PERSON, "source_id": number} | more))
    document["tracking_number"]["carrier_code"] = "sandbox"
    return document


async def id_of(client: Client, number: str) -> str:
    return str((await client.get(f"{V2}{number}")).document["parcel_id"])


async def hits(dsn: str) -> dict[str, int]:
    """How many rows of which table hold the canary, as their owner sees them."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        found = {}
        for (table,) in tables:
            # Bytes are searched as text, both as they are and as hexadecimal.
            rows = await connection.fetch(f'SELECT t::text AS row FROM "{table}" t')
            number = sum(
                CANARY in str(row["row"]).lower()
                or CANARY.encode().hex() in str(row["row"])
                or CANARY.upper().encode().hex() in str(row["row"])
                for row in rows
            )
            if number:
                found[table] = number
        return found
    finally:
        await connection.close()


async def test_after_an_erasure_nothing_is_left_but_the_receipt(
    house: tuple[Client, ApiParts], dsn: str, account: int, app_pool: Pool
) -> None:
    client, _ = house
    document = given(
        tracking_number={
            "carrier_code": "sandbox",
            "tracking_number": "CANARY1",
            "tracking_identifier": "CANARYALIAS",
        }
    )
    assert (await client.post(POST, document, idempotency_key="one")).status == 200
    parcel_id = await id_of(client, "CANARY1")
    await client.ask(
        "PATCH",
        f"{PARCELS}/{parcel_id}",
        b'{"to_address": {"city": "Canary City"}}',
        {"idempotency-key": "two"},
    )
    await client.post(
        f"{PARCELS}/{parcel_id}/events",
        {"events": [{"event_at": "2026-01-06T10:00:00Z", "phase": "accepted", "text": "canary"}]},
    )
    await client.post(f"{PARCELS}/{parcel_id}/stop", {"reason": "canary"})
    async with tenant(app_pool, account) as conn:
        await conn.execute(
            "INSERT INTO raw_payload VALUES ($1, $2, now(), 'sandbox', 'x', 'canary')",
            account,
            int(parcel_id),
        )
        # As the version before kept answers: without the parcel.
        await conn.execute(
            "INSERT INTO idempotency_key (account_id, key, fingerprint, status, body)"
            " SELECT account_id, 'old', fingerprint, status, body FROM idempotency_key"
            " WHERE key = 'one'"
        )
    before = await hits(dsn)
    assert {"parcel", "event", "tracked_number", "parcel_search", "idempotency_key"} <= set(before)
    answer = await client.ask("DELETE", f"{PARCELS}/{parcel_id}")
    assert answer.status == 200, answer.body
    assert await hits(dsn) == {}
    erased = answer.document["erased"]
    assert (erased["parcels"], erased["kept_answers"]) == (1, 3)
    assert erased["events"] >= 2
    assert answer.document["actor"] == "key:1"
    # A repeat, and whoever asks later, get the same receipt.
    assert (await client.ask("DELETE", f"{PARCELS}/{parcel_id}")).body == answer.body
    assert (await client.get(f"/api/milepost/v1/erasures/{parcel_id}")).body == answer.body
    for gone in (f"{PARCELS}/{parcel_id}", f"{POST}/CANARY1", f"{POST}/CANARYALIAS"):
        assert (await client.get(gone)).status == 404
    assert (await client.post(POST, document)).status == 200, "number and source_id are free"


async def test_every_table_about_parcels_is_erased_or_named(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    about = {
        row[0]
        for row in await connection.fetch(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND column_name = 'parcel_id'"
        )
    }
    source = "\n".join(
        str(getattr(CHANGES, name).sql)
        for name in CHANGES.available_queries
        if name.startswith("erase_")
    )
    told = "SELECT prosrc FROM pg_proc WHERE proname = 'forget_told'"
    source += str(await connection.fetchval(told)).replace("UPDATE feed_event", "FROM feed_event")
    await connection.close()
    forgotten = [t for t in about & TENANT - KEPT if f"FROM {t} " not in source]
    assert forgotten == ["idempotency_key"], "which the accounts room forgets"


async def test_a_worker_that_is_recording_brings_nothing_back(
    house: tuple[Client, ApiParts], account: int, app_pool: Pool
) -> None:
    client, parts = house
    recording = parts.core.recorder.record
    for turn in range(12):
        parcel_id = await raced(client, turn)

        async def record(parcel_id: int = parcel_id) -> None:
            for minute in range(6):
                told = poll(0, scan_at(minute, "A", "in_transit"))
                now = datetime.now(UTC)
                # Two at once and an erasure: one may be told to come again.
                await patiently(
                    lambda told=told, now=now: recording(  # type: ignore[misc]
                        account, parcel_id, told, now, lambda *_: None
                    )
                )

        async def erase(parcel_id: int = parcel_id) -> None:
            await asyncio.sleep(random.random() * 0.03)
            assert (await client.ask("DELETE", f"{PARCELS}/{parcel_id}")).status == 200

        await asyncio.gather(record(), record(), erase())
        assert await events_left(app_pool, account, parcel_id) == 0


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_write_after_an_erasure_finds_no_parcel(
    house: tuple[Client, ApiParts], dsn: str, account: int, app_pool: Pool, fenced: bool
) -> None:
    """Without the foreign key (the planted bug) a write that asks nobody brings events back."""
    client, _ = house
    parcel_id = await raced(client, 0)
    assert (await client.ask("DELETE", f"{PARCELS}/{parcel_id}")).status == 200
    if fenced:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await plant(app_pool, account, parcel_id)
    else:
        await execute(dsn, "ALTER TABLE event DROP CONSTRAINT event_account_id_parcel_id_fkey")
        await plant(app_pool, account, parcel_id)
    assert (await events_left(app_pool, account, parcel_id) == 0) is fenced


async def raced(client: Client, turn: int) -> int:
    assert (await client.post(POST, given(f"RACE{turn}"))).status == 200
    return int(await id_of(client, f"RACE{turn}"))


async def events_left(pool: Pool, account: int, parcel_id: int) -> int:
    async with tenant(pool, account) as conn:
        count = await conn.fetchval("SELECT count(*) FROM event WHERE parcel_id = $1", parcel_id)
    return int(count)


async def plant(pool: Pool, account: int, parcel_id: int) -> None:
    """A write that asks nobody whether its parcel is still there."""
    async with tenant(pool, account) as conn:
        await conn.execute(
            "INSERT INTO event (account_id, parcel_id, sequence, event_key, event_type,"
            " carrier_code, raw_code, mapping_version, fact, recorded_at)"
            " VALUES ($1, $2, 100, 'late', 'carrier', '', '', 1, '{}', now())",
            account,
            parcel_id,
        )


async def test_a_change_and_an_erasure_at_once(house: tuple[Client, ApiParts], dsn: str) -> None:
    client, _ = house
    for turn in range(10):
        await client.post(POST, given(f"CANARY{turn}"))
        parcel_id = await id_of(client, f"CANARY{turn}")
        body = b'{"to_address": {"city": "Canary City"}, "tracking_number": "CANARYNEW"}'
        patched, erased = await asyncio.gather(
            client.ask("PATCH", f"{PARCELS}/{parcel_id}", body),
            client.ask("DELETE", f"{PARCELS}/{parcel_id}"),
        )
        assert patched.status in (200, 404)
        assert erased.status == 200
    assert await hits(dsn) == {}


async def test_one_that_fails_in_the_middle_erases_nothing(
    house: tuple[Client, ApiParts], dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _ = house
    await client.post(POST, given())
    parcel_id = await id_of(client, "CANARY1")
    before = await hits(dsn)

    def die(name: str) -> None:
        raise RuntimeError(name)

    monkeypatch.setattr("milepost.parcels.erase.failpoints.reach", die)
    assert (await client.ask("DELETE", f"{PARCELS}/{parcel_id}")).status == 500
    monkeypatch.undo()
    assert await hits(dsn) == before
    assert (await client.ask("DELETE", f"{PARCELS}/{parcel_id}")).status == 200
