"""Stories of the sandbox, from registration to the answers a client reads."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from tests.flows.conftest import House
from tests.parcels.conftest import registration

from milepost.db.pool import tenant
from milepost.monitoring.sandbox import advance

HOUR = timedelta(hours=1)


async def start(house: House, number: str) -> None:
    await house.registrar.register(
        house.account,
        registration(
            carrier_code="sandbox", tracking_number=number, announced_at=datetime.now(UTC)
        ),
    )


async def told(house: House, number: str) -> dict[str, Any]:
    found = await house.reader.read(house.account, number, None, 10**9)
    assert found is not None
    answer: dict[str, Any] = orjson.loads(found.body)
    return answer


async def play(house: House, number: str, days: int, step_hours: int = 6) -> list[str]:
    """Advance the clock step by step; the statuses the parcel went through."""
    seen: list[str] = []
    for _ in range(days * 24 // step_hours):
        async with tenant(house.app_pool, house.account) as conn:
            await advance(
                conn, house.credentials, house.catalogue, house.account, step_hours * HOUR
            )
        await house.check_everything("sandbox")
        status = (await told(house, number))["status"]
        if not seen or seen[-1] != status:
            seen.append(status)
    return seen


async def test_the_happy_path_reaches_delivered(house: House) -> None:
    await start(house, "SBX-HAPPY-1")
    seen = await play(house, "SBX-HAPPY-1", days=4, step_hours=12)
    assert seen[-1] == "DELIVERED"
    assert len(seen) >= 3
    answer = await told(house, "SBX-HAPPY-1")
    assert answer["monitoring"]["state"] == "ended"
    times = [event["event_at"] for event in answer["events"]]
    assert times == sorted(times, reverse=True)


async def test_a_fast_story_moves_by_itself(house: House) -> None:
    await start(house, "SBX-HAPPY-86400X-7")
    async with asyncio.timeout(60):
        while (await told(house, "SBX-HAPPY-86400X-7"))["status"] != "DELIVERED":
            await house.check_everything("sandbox")
            await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    ("story", "status", "state"),
    [
        ("RETURN", "RETURNED_TO_SENDER", "ended"),
        ("CUSTOMS", "DELIVERED", "ended"),
        ("PICKUP", "RETURNED_TO_SENDER", "ended"),
        ("NEVER", "ANNOUNCED_UNCOLLECTED", "stopped"),
    ],
)
async def test_how_stories_end(house: House, story: str, status: str, state: str) -> None:
    number = f"SBX-{story}-1"
    await start(house, number)
    await play(house, number, days=50, step_hours=24 * 10)
    answer = await told(house, number)
    assert (answer["status"], answer["monitoring"]["state"]) == (status, state)


async def test_duplicates_and_rewordings_make_no_new_events(house: House) -> None:
    await start(house, "SBX-DUPLICATE-1")
    await start(house, "SBX-REWORDED-1")
    await start(house, "SBX-UNORDERED-1")
    await start(house, "SBX-HAPPY-1")
    await play(house, "SBX-HAPPY-1", days=5, step_hours=30)
    happy = [e["status_code"] for e in (await told(house, "SBX-HAPPY-1"))["events"]]
    for story in ("DUPLICATE", "REWORDED", "UNORDERED"):
        events = (await told(house, f"SBX-{story}-1"))["events"]
        assert [e["status_code"] for e in events].count("delivered") == 1, story
        assert events[0]["status_code"] == happy[0] == "delivered", story


async def test_an_outage_loses_nothing(house: House) -> None:
    await start(house, "SBX-OUTAGE-1")
    await play(house, "SBX-OUTAGE-1", days=5, step_hours=3 * 8)
    assert (await told(house, "SBX-OUTAGE-1"))["status"] == "DELIVERED"
