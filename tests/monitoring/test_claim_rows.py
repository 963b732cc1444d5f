"""Claims, leases and fences row by row: what is written, and what is left alone."""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.monitoring.still import FOREVER, LEASE, NOW, TURN, after, rows_of
from tests.stopped_clock import put

TIMING = {"origin_country": "NL", "destination_country": "DE"}


async def test_a_claim_tells_what_is_asked_and_closed_lanes_get_no_turn(
    session: asyncpg.Connection, account: int
) -> None:
    await session.execute("UPDATE lane SET state = 'not_supported', turn_at = 'infinity'")
    await session.execute("UPDATE watch SET due_at = 'infinity', next_deadline_at = 'infinity'")
    number = await session.fetchval("SELECT min(parcel_id) FROM watch")
    await session.execute("UPDATE watch SET due_at = $1 WHERE parcel_id = $2", NOW, number)
    (got,) = await session.fetch(
        "SELECT * FROM claim_due($1, 'sandbox', 50, $2, 1)", account, LEASE
    )
    told = ("origin_country", "destination_country", "postal_code", "next_deadline_at")
    assert [got[name] for name in told] == ["NL", "NL", "5611 EM", None]
    assert await session.fetchval(TURN) == FOREVER
    await session.execute("UPDATE lane SET state = 'credential_refused'")
    await session.execute("UPDATE watch SET due_at = 'infinity'")
    assert await session.fetch("SELECT claim_due($1, 'sandbox', 50, $2, 1)", account, LEASE) == []
    assert await session.fetchval(TURN) == FOREVER, "nothing is left to ask about"
    assert await session.fetchval("SELECT sum(checks) FROM check_day") == 1


async def test_only_what_is_held_under_its_fence_is_renewed(
    session: asyncpg.Connection, account: int
) -> None:
    before = await rows_of(session)
    held, other, settled, *_ = before
    await session.execute("UPDATE watch SET lease_until = $1, fence = 7", after(9))
    await session.execute("UPDATE watch SET lease_until = NULL WHERE parcel_id = $1", settled)
    before = await rows_of(session)
    renew = "SELECT renew_leases($1, $2, $3, $4)"
    got = await session.fetch(renew, account, [held, other, settled], [7, 6, 7], LEASE)
    assert [row[0] for row in got] == [held]
    lease = {"lease_until": NOW + LEASE, "due_at": NOW + LEASE}
    assert await rows_of(session) == before | {held: before[held] | lease}


async def test_a_fence_is_held_by_its_number_and_parcel(
    session: asyncpg.Connection, account: int
) -> None:
    number = await session.fetchval("SELECT min(parcel_id) FROM watch")
    holds = "SELECT holds_fence($1, $2, $3)"
    for parcel, fence, held in ((0, 0, True), (0, 1, False), (1, 0, False), (1, 1, True)):
        assert await session.fetchval(holds, account, number + parcel, number + fence) is held


async def test_a_finish_writes_what_it_holds_and_plans_the_turn(
    session: asyncpg.Connection, account: int
) -> None:
    await session.execute("UPDATE lane SET turn_at = 'infinity'")
    await session.execute("UPDATE watch SET lease_until = $1, last_checked_at = $2", after(9), NOW)
    # A fence is a parcel's: others may have the same number.
    await session.execute("UPDATE watch SET fence = fence / 2")
    await put(session, after(1))
    before = await rows_of(session)
    one, unchecked, ended, stale, *_ = before

    def row(number: int, due_in: float | None, **changes: Any) -> dict[str, Any]:
        made = {"parcel_id": number, "fence": before[number]["fence"], "urgency": 2, "misses": 3}
        return made | {"due_in": due_in, "answer_hash": "ab", "checked": True} | changes

    finish = "SELECT finish_checks($1, 'sandbox', $2)"
    rows = [row(one, 50.0), row(unchecked, 70.0, checked=False), row(ended, None)]
    rows.append(row(stale, 5.0, fence=before[stale]["fence"] - 1))
    assert await session.fetchval(finish, account, json.dumps(rows)) == 3
    written = {"urgency": 2, "misses": 3, "answer_hash": b"\xab", "lease_until": None}
    assert await rows_of(session) == before | {
        one: before[one] | written | {"due_at": after(51), "last_checked_at": after(1)},
        unchecked: before[unchecked] | written | {"due_at": after(71)},
        ended: before[ended] | written | {"due_at": FOREVER, "last_checked_at": after(1)},
    }
    assert await session.fetchval(TURN) == after(51)
    await session.execute("DELETE FROM lane WHERE carrier_code = 'sandbox'")
    await session.fetchval(finish, account, json.dumps([row(ended, None)]))
    assert await session.fetchval("SELECT count(*) FROM lane WHERE carrier_code = 'sandbox'") == 0


STATE: dict[str, Any] = {
    "updated_at": NOW.isoformat(),
    "phase": "announced",
    "exception": "",
    "status_type": "registered",
    "sub_status": "announced",
    "status": "announced",
    "status_at": NOW.isoformat(),
    "stop_reason": "",
    "estimate": None,
    "extra": {},
    "event_count": 1,
    "render_epoch": 1,
    "etag": "x",
}
EVENT = {
    "sequence": 9,
    "event_key": "k",
    "event_type": "scan",
    "carrier_code": "sandbox",
    "raw_code": "A",
    "mapping_version": 1,
    "fact": {},
}
RECORD = (
    "SELECT record_observation($1, $2, $3, $4, $5, $6, '', '', $7, $8, $9, $10, $11, $12,"
    " $13, $14, 'text/plain')"
)
EVERYTHING = (
    "SELECT json_build_array((SELECT json_agg(p ORDER BY p) FROM parcel p),"
    " (SELECT json_agg(e ORDER BY e::text) FROM event e),"
    " (SELECT json_agg(w ORDER BY w::text) FROM watch w),"
    " (SELECT count(*) FROM outbox), (SELECT count(*) FROM parcel_timing),"
    " (SELECT count(*) FROM raw_payload), (SELECT json_agg(l ORDER BY l::text) FROM lane l))::text"
).replace("ORDER BY p)", "ORDER BY p::text)")


async def record(
    session: asyncpg.Connection, account: int, number: int, revision: int, fence: int | None,
    *, watch: dict[str, Any] | None = None, deadline: datetime | None = None,
    dropped: list[int] | None = None, event: dict[str, Any] | None = None,
    told: list[dict[str, Any]] | None = None, timing: dict[str, Any] | None = None,
    revised: list[dict[str, Any]] | None = None,
) -> Any:  # fmt: skip
    documents: list[Any] = [json.dumps(STATE), json.dumps([event or EVENT])]
    documents += [json.dumps(revised or []), dropped or []]
    documents += [json.dumps(told or []), watch and json.dumps(watch), deadline]
    documents += [timing and json.dumps(timing), None]
    return await session.fetchval(RECORD, account, number, revision, fence, NOW, *documents)


async def test_a_record_that_comes_too_late_changes_nothing(
    session: asyncpg.Connection, account: int
) -> None:
    number, stored = await first_of(session)
    before = await session.fetchval(EVERYTHING)
    watch = {"urgency": 0, "due_in": 5.0, "misses": 0, "answer_hash": "", "carrier_code": "sandbox"}
    for revision, fence in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, None)):
        assert not await record(
            session,
            account,
            number,
            stored + revision,
            None if fence is None else number + fence,
            watch=watch,
            deadline=NOW,
            dropped=[1],
            told=[{"sequence": 1, "kind": "event"}],
            timing=TIMING,
        )
        assert await session.fetchval(EVERYTHING) == before


async def first_of(session: asyncpg.Connection) -> tuple[int, int]:
    row = await session.fetchrow("SELECT parcel_id, revision FROM parcel ORDER BY parcel_id")
    assert row is not None
    return row["parcel_id"], row["revision"]


@pytest.mark.parametrize("fenced", [True, False])
async def test_a_record_in_time_writes_its_own_parcel_alone(
    session: asyncpg.Connection, account: int, fenced: bool
) -> None:
    number, stored = await first_of(session)
    await session.execute("UPDATE lane SET turn_at = 'infinity', deadline_at = 'infinity'")
    await session.execute(
        "UPDATE watch SET lease_until = $1, misses = 3, last_checked_at = $1", after(9)
    )
    others = "SELECT json_agg(row ORDER BY row::text)::text FROM {} row WHERE parcel_id <> $1"
    before = [
        await session.fetchval(others.format(t), number) for t in ("parcel", "event", "watch")
    ]
    row = (await rows_of(session))[number]
    watch = {"urgency": 2, "due_in": 5.0, "misses": 4, "answer_hash": "ab"}
    assert await record(
        session, account, number, stored, number if fenced else None,
        watch=watch | {"carrier_code": "sandbox"}, deadline=after(77), dropped=[1],
        told=[{"sequence": 1, "kind": "withdrawn"}], timing=TIMING,
    )  # fmt: skip
    assert (await rows_of(session))[number] == row | {
        "urgency": 2, "due_at": after(5), "lease_until": None, "misses": 4,
        "answer_hash": b"\xab", "last_checked_at": NOW, "next_deadline_at": after(77),
    }  # fmt: skip
    assert await session.fetchval(TURN) == after(5)
    lane = "SELECT deadline_at FROM lane WHERE carrier_code = 'sandbox'"
    assert await session.fetchval(lane) == after(77)
    assert await first_of(session) == (number, stored + 1)
    events = await session.fetch("SELECT sequence FROM event WHERE parcel_id = $1", number)
    assert [event["sequence"] for event in events] == [9]
    # Without a plan the schedule's row keeps all but its deadline, and that where it is another.
    row = (await rows_of(session))[number]
    held = number if fenced else None
    second = EVENT | {"sequence": 10, "event_key": "l"}
    assert await record(session, account, number, stored + 1, held, event=second)
    assert (await rows_of(session))[number] == row | {
        "next_deadline_at": FOREVER, "lease_until": row["lease_until"]
    }  # fmt: skip
    row_version = "SELECT xmin::text FROM watch WHERE parcel_id = $1"
    written = await session.fetchval(row_version, number)
    third = EVENT | {"sequence": 11, "event_key": "m"}
    # Others have an event of that number; this parcel's was dropped.
    revised = [EVENT | {"sequence": sequence, "raw_code": "B"} for sequence in (1, 9)]
    assert await record(session, account, number, stored + 2, held, event=third, revised=revised)
    assert await session.fetchval(row_version, number) == written, "nothing new to write"
    codes = await session.fetch(
        "SELECT sequence, raw_code FROM event WHERE parcel_id = $1 ORDER BY sequence", number
    )
    assert [tuple(event) for event in codes] == [(9, "B"), (10, "A"), (11, "A")]
    fourth = EVENT | {"sequence": 12, "event_key": "n"}
    told = watch | {"carrier_code": "sandbox", "due_in": 6.0}
    assert await record(session, account, number, stored + 3, held, event=fourth, watch=told)
    assert (await rows_of(session))[number]["due_at"] == after(6), "though its deadline stays"
    now = [await session.fetchval(others.format(t), number) for t in ("parcel", "event", "watch")]
    assert now == before


async def test_a_claim_that_ends_during_a_record_keeps_its_row(
    session: asyncpg.Connection, account: int, dsn: str
) -> None:
    number, stored = await first_of(session)
    claimant = await asyncpg.connect(dsn)
    async with claimant.transaction():
        await claimant.execute("UPDATE watch SET fence = fence + 1 WHERE parcel_id = $1", number)
        watch = {"due_in": 5.0, "answer_hash": "", "carrier_code": "sandbox"}
        late = asyncio.create_task(record(session, account, number, stored, number, watch=watch))
        blocked = "SELECT pg_blocking_pids($1) <> '{}'"
        while not await claimant.fetchval(blocked, session.get_server_pid()):
            assert not late.done(), "it waits for the row"
            await asyncio.sleep(0.01)
    await late
    row = (await rows_of(session))[number]
    assert (row["fence"], row["due_at"]) == (number + 1, NOW - timedelta(hours=9))
    await claimant.close()
