"""Deadlines wake parcels, polled or not; what a withdrawal leaves; lanes that learn."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conftest import execute
from tests.monitoring.conftest import House

from milepost.carriers.connector import Found, NotFound
from milepost.db.pool import Pool, tenant
from milepost.monitoring.claim import Lane, pause
from milepost.parcels.record import Recorder
from milepost.tracking.events import Moment, Observation, Scan, ZoneSource
from milepost.tracking.vocabulary import Phase, Reading

DAY = timedelta(days=1)


def scan(name: str, phase: Phase, at: datetime) -> Scan:
    moment = Moment(
        at.isoformat(), at, f"{at:%Y-%m-%dT%H:%M}", "UTC", zone_source=ZoneSource.CARRIER
    )
    return Scan(name, name, name, moment, Reading(phase))


def ago(days: float) -> datetime:
    return datetime.now(UTC) - days * DAY


async def answer(house: House, number: str) -> dict[str, Any]:
    found = await house.reader.read(house.account, number, None, await house.epoch())
    assert found is not None
    document: dict[str, Any] = json.loads(found.body)
    return document


async def wake(house: House) -> int:
    return sum([await house.deadlines.wake(lane) for lane in await house.deadlines.due(50)])


async def a_day_later(house: House) -> None:
    """The first look is due within a day, without anybody having said so."""
    await house.run("UPDATE watch SET next_deadline_at = next_deadline_at - interval '1 day'")
    await house.run("UPDATE lane SET deadline_at = deadline_at - interval '1 day'")


async def earlier(house: House, path: str, days: float) -> None:
    """Puts a time in the first event so many days back."""
    statement = "UPDATE event SET fact = jsonb_set(fact, $1::text[], to_jsonb($2::text))"
    await house.run(f"{statement} WHERE sequence = 1", path.split(","), ago(days).isoformat())


async def outbox(house: House) -> list[str]:
    found = "SELECT array_agg(kind ORDER BY outbox_id) FROM outbox"
    return list(await house.run(found))


@pytest.mark.parametrize("state", ["not_supported", "waiting_for_credentials", "open"])
async def test_a_parcel_nobody_asks_about_is_woken_all_the_same(house: House, state: str) -> None:
    number = await house.register(carrier_code="slowpost", announced_at=ago(8))
    await pause(house.pool, Lane(house.account, "slowpost"), state, None)
    assert await wake(house) == 0
    await a_day_later(house)
    assert await wake(house) == 1
    # Silence counts from the registration, and the carrier is not said to lack the parcel.
    assert (await answer(house, number))["status"] == "ANNOUNCED"
    deadline = await house.run("SELECT next_deadline_at - now() FROM watch")
    assert 6.9 * DAY < deadline <= 7 * DAY
    await earlier(house, "seen,0,1", 8)
    await house.run("UPDATE watch SET next_deadline_at = now()")
    await house.run("UPDATE lane SET deadline_at = now()")
    assert await wake(house) == 1
    told = await answer(house, number)
    assert (told["status"], told["events"][0]["event_type"]) == ("DELAYED", "calculated")
    assert told["events"][0]["exception"] == "off_radar"
    assert await outbox(house) == ["event", "event"]
    assert await house.run("SELECT next_deadline_at = 'infinity' FROM watch")
    assert await wake(house) == 0


async def test_an_answer_is_worth_a_deadline_and_a_scan_withdraws(house: House) -> None:
    house.answer = lambda _: NotFound()
    number = await house.register(carrier_code="sandbox", announced_at=ago(2.9))
    await house.check()
    assert (await answer(house, number))["status"] == "ANNOUNCED"
    deadline = await house.run("SELECT next_deadline_at - now() FROM watch")
    assert 0 * DAY < deadline < 0.11 * DAY
    assert await house.run("SELECT deadline_at <= now() + interval '3 h' FROM lane")
    # The carrier is asked again when it is over: the answer says the same, time doesn't.
    await house.run("UPDATE parcel SET announced_at = announced_at - interval '1 day'")
    await earlier(house, "told,moment,instant", 3.9)
    await house.run("UPDATE watch SET next_deadline_at = now(), due_at = now()")
    await house.check()
    late = await answer(house, number)
    assert (late["status"], len(late["events"])) == ("ANNOUNCED_UNCOLLECTED", 2)
    house.answer = lambda _: Found((scan("PU", Phase.ACCEPTED, ago(0.1)),), complete=True)
    await house.run("UPDATE watch SET due_at = now()")
    await house.check()
    found = await answer(house, number)
    assert (found["status"], [one["event_type"] for one in found["events"]]) == (
        "TO_SORTING",
        ["carrier", "internal"],
    )
    assert await outbox(house) == ["event", "event", "event", "withdrawn"]
    assert await house.run("SELECT count(*) FROM event WHERE withdrawn_at IS NOT NULL") == 1
    # And once more, with no deadline left at all.
    await house.run("UPDATE watch SET due_at = now(), next_deadline_at = 'infinity'")
    await house.check()
    assert await house.run("SELECT misses FROM watch") == 0


async def test_a_look_at_the_clock_is_no_news(house: House) -> None:
    """``updated_at`` and the ETag mark changes for clients."""
    number = await house.register(carrier_code="slowpost")
    await a_day_later(house)
    await wake(house)
    before = await house.run("SELECT (updated_at, etag)::text FROM parcel")
    await house.run("UPDATE watch SET next_deadline_at = now()")
    await house.run("UPDATE lane SET deadline_at = now()")
    assert await wake(house) == 1
    assert await house.run("SELECT (updated_at, etag)::text FROM parcel") == before
    assert (await answer(house, number))["status"] == "ANNOUNCED"


async def test_two_workers_share_what_is_due_out(house: House) -> None:
    for _ in range(70):
        await house.register(carrier_code="slowpost")
    await a_day_later(house)
    (lane,) = await house.deadlines.due(5)
    first = await house.deadlines._claimed(lane)
    second = await house.deadlines._claimed(lane)
    assert (len(first), len(second), set(first) & set(second)) == (50, 20, set())
    assert await house.deadlines._claimed(lane) == []
    assert await house.run("SELECT deadline_at > now() FROM lane"), "until the leases end"


async def test_parcels_of_the_version_before_are_planned(house: House) -> None:
    numbers = [await house.register(carrier_code="slowpost") for _ in range(3)]
    await house.run("UPDATE watch SET next_deadline_at = NULL")
    await house.run("UPDATE lane SET deadline_at = NULL")
    await house.run("UPDATE parcel SET ended_at = now() WHERE tracking_number = $1", numbers[0])
    assert await house.deadlines.due(5) == []
    assert await house.deadlines.plan_old() == 1
    assert await house.deadlines.plan_old() == 0
    planned = "SELECT count(*) FROM watch WHERE next_deadline_at < now() + interval '1 day'"
    assert await house.run(planned) == 2
    assert len(await house.deadlines.due(5)) == 1


async def test_the_function_of_the_version_before_still_records(house: House) -> None:
    """It runs beside us during an upgrade, and leaves the deadline alone."""
    await house.register(carrier_code="slowpost")
    state = await house.run(
        "SELECT jsonb_build_object('phase', phase, 'exception', exception, 'status_type',"
        " status_type, 'sub_status', sub_status, 'status', status, 'status_at', status_at,"
        " 'stop_reason', '', 'extra', extra, 'event_count', 1, 'render_epoch', 1, 'etag', '')"
        " FROM parcel"
    )
    parcel = await house.run("SELECT parcel_id FROM parcel")
    written = await house.pool.fetchval(
        "SELECT record_parcel($1, $2, 1, NULL, now(), $3, '', '', '[]', '[]', '{}', NULL)",
        house.account,
        parcel,
        state,
    )
    assert written is True
    assert await house.run("SELECT next_deadline_at > now() FROM watch")


async def test_an_older_answer_told_late_takes_nothing_away(house: House) -> None:
    """What a newer, unchanged answer confirmed stays, as if both had come in order."""
    seen = scan("AR", Phase.SORTED, ago(0.5))
    house.answer = lambda _: Found((seen,), complete=True)
    await house.register(carrier_code="sandbox")
    await house.check()
    await house.run("UPDATE watch SET due_at = now()")
    between = datetime.now(UTC)
    await house.check()
    moved = scan("AR", Phase.SORTED, ago(0.6))
    parcel = await house.run("SELECT parcel_id FROM parcel")
    recorder: Recorder = house.deadlines._recorder
    await recorder.record(
        house.account,
        parcel,
        Observation("sandbox", "poll", between, (moved,), complete=True),
        datetime.now(UTC),
        lambda _journey, _parcel: None,
    )
    assert await house.run("SELECT count(*) FROM event WHERE event_type = 'carrier'") == 2


# What is kept beside: milestones, answers, what a lane teaches. ----------------------------------


async def test_milestones_outlive_the_parcel_and_name_nobody(house: House) -> None:
    scans: Sequence[Scan] = (
        scan("PU", Phase.ACCEPTED, ago(3)),
        scan("OD", Phase.IN_DELIVERY, ago(2)),
        scan("DL", Phase.DELIVERED, ago(1)),
    )
    house.answer = lambda _: Found(tuple(scans), complete=True)
    await house.register(carrier_code="sandbox", announced_at=ago(4))
    await house.check()
    async with tenant(house.pool, house.account) as conn:
        row = await conn.fetchrow("SELECT * FROM parcel_timing")
    assert row is not None
    reached = ("announced_at", "first_scan_at", "in_delivery_at", "delivered_at", "ended_at")
    assert [round((datetime.now(UTC) - row[name]) / DAY) for name in reached] == [4, 3, 2, 1, 1]
    assert (row["origin_country"], row["destination_country"]) == ("NL", "NL")
    before = await house.run("SELECT xmin::text FROM parcel_timing")
    house.answer = lambda _: Found((*scans, scan("XX", Phase.NONE, ago(0.5))), complete=True)
    await house.run("UPDATE watch SET due_at = now()")
    await house.check()
    assert await house.run("SELECT count(*) FROM event") == 5
    assert await house.run("SELECT xmin::text FROM parcel_timing") == before, "not written anew"


async def test_a_lane_learns_from_what_ended_and_asks_by_it(
    house: House, dsn: str, worker_pool: Pool
) -> None:
    await house.register(carrier_code="dhl")
    fact = (
        "jsonb_build_object('told', jsonb_build_object('reading', '[\"in_transit\"]'::jsonb,"
        " 'moment', jsonb_build_object('precision', 'instant', 'instant',"
        " date_trunc('day', now()) - n * interval '1 day' + (6 + k) * interval '1 hour')))"
    )
    await execute(
        dsn,
        f"""INSERT INTO parcel (account_id, carrier_code, tracking_number, request, announced_at,
            created_at, updated_at, phase, exception, status_type, sub_status, status, status_at)
        SELECT {house.account}, 'dhl', 'N' || n, '{{}}', now(), now(), now(), 'delivered', 'none',
            'success', 'none', 'DELIVERED', now() FROM generate_series(1, 40) AS n;
        INSERT INTO parcel_timing SELECT account_id, parcel_id, 'dhl', 'NL', 'NL', now(), now(),
            now() - interval '2 days', NULL, now(), now() FROM parcel WHERE status = 'DELIVERED';
        INSERT INTO event SELECT account_id, parcel_id, k, 'k' || k, 'carrier', 'dhl', 'A', 1,
            {fact}, now() FROM parcel, generate_series(1, 3) AS k, generate_series(1, 1) AS n
            WHERE status = 'DELIVERED'""",
    )
    await a_day_later(house)
    await wake(house)
    async with tenant(worker_pool, house.account) as conn:
        rows = await conn.fetch("SELECT origin_country, statistics FROM lane_history ORDER BY 1")
    assert [row["origin_country"] for row in rows] == ["", "NL"]
    assert sum(rows[0]["statistics"]["hours"]) == 120
    assert rows[0]["statistics"]["transit"][:3] == [40, 48.0, 48.0]
    learnt = await house.run("SELECT learnt_at FROM lane")
    await house.run("UPDATE lane SET deadline_at = now()")
    await wake(house)
    assert await house.run("SELECT learnt_at FROM lane") == learnt, "not again so soon"
