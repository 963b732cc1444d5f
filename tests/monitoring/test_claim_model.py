"""Which rows a claim takes: what a few lines of Python say of the same rows, many times."""

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import asyncpg
from tests.monitoring.still import FOREVER, LEASE, NOW, PARCELS, TURN, after, rows_of

FORGET_TODAY = "DELETE FROM check_day WHERE day = $1 AND carrier_code = 'sandbox'"
ASKED = "SELECT checks FROM check_day WHERE day = $1 AND carrier_code = 'sandbox'"
CLAIM = "SELECT * FROM claim_due($1, 'sandbox', $2, $3, $4)"
Rows = Mapping[int, Mapping[str, Any]]


def claimed(rows: Rows, limit: int, batch: int, asked: int) -> set[int]:
    """The most urgent, a quarter of lesser urgencies, and what a request with room takes along."""

    def by_time(some: Rows) -> list[Mapping[str, Any]]:
        return sorted(some.values(), key=lambda row: row["due_at"])

    ready = by_time({number: row for number, row in rows.items() if row["due_at"] <= NOW})
    quarter = limit // 4 if limit > 3 else (asked + limit) // 4 - asked // 4
    first = [row for row in ready if row["urgency"] > 0][:quarter]
    others = sorted((row for row in ready if row not in first), key=lambda row: row["urgency"])
    taken = (first + others)[:limit]
    room = min(limit, -(-len(taken) // batch) * batch) - len(taken)
    ahead = by_time({number: row for number, row in rows.items() if row["due_at"] > NOW})
    soon = [row for level in range(3) for row in [r for r in ahead if r["urgency"] == level][:room]]
    along = [
        row
        for row in sorted(soon, key=lambda row: row["due_at"])
        if row["lease_until"] is None
        and (row["due_at"] - NOW) * 4 <= row["due_at"] - row["last_checked_at"]
    ]
    return {row["parcel_id"] for row in taken + along[:room]}


async def laid_out(session: asyncpg.Connection, dice: random.Random, case: int) -> None:
    """Other dues, urgencies, waits and leases, in this lane and the other."""
    await session.execute("UPDATE watch SET lease_until = NULL")
    last = PARCELS + 2
    span = [(-60, 0), (-40, 40), (1, 61)][case % 3]
    # One is due at this instant, so that bounds show; the longest waits end in the lane beside.
    dues = [*dice.sample(range(*span), PARCELS - 1), 0 if case % 3 < 2 else 70, -5, 2]
    for number, due in zip((await rows_of(session)), dues, strict=True):
        wait = dice.choice([4, 8, 80, 400])
        leased = due > 0 and dice.random() < 0.2 and number < last - 1
        await session.execute(
            "UPDATE watch SET urgency = $2, due_at = $3, last_checked_at = $4, lease_until = $5"
            " WHERE parcel_id = $1",
            *(number, dice.choice([0, 0, 1, 2, 3]), after(due), after(due - wait)),
            after(due) if leased else None,
        )


async def test_a_claim_takes_the_most_urgent_a_quarter_of_the_others_and_what_has_room(
    session: asyncpg.Connection, account: int
) -> None:
    dice, asked = random.Random(7), 0
    # What another carrier, and another day, was asked counts for nobody here.
    await session.execute(
        "INSERT INTO check_day (account_id, day, carrier_code, checks)"
        " VALUES ($1, $2, 'dhl', 3), ($1, $3, 'sandbox', 2)",
        *(account, NOW.date(), (NOW - timedelta(days=1)).date()),
    )
    beside = await session.fetchrow("SELECT * FROM lane WHERE carrier_code = 'dhl'")
    never = await session.fetchval("SELECT min(parcel_id) FROM watch WHERE carrier_code='sandbox'")
    for case in range(60):
        limit, batch = dice.choice([1, 4, 7, 12, 50]), dice.choice([1, 1, 3, 10, 30])
        if case % 10 == 0:
            # A day's first claim: a quarter of few is none, that of four is one.
            limit, asked = (1, 4)[case // 10 % 2], 0
            await session.execute(FORGET_TODAY, NOW.date())
        paused = dice.choice([None, NOW - LEASE, after(30)])
        await session.execute(
            "UPDATE lane SET paused_until = $1, served_at = $2, state = 'open'"
            " WHERE carrier_code = 'sandbox'",
            *(paused, NOW - LEASE),
        )
        await laid_out(session, dice, case)
        await session.execute("UPDATE watch SET due_at = 'infinity' WHERE parcel_id = $1", never)
        before = await rows_of(session)
        ours = {
            number: row
            for number, row in before.items()
            if row["carrier_code"] == "sandbox" and row["due_at"] != FOREVER
        }
        taken = claimed(ours, limit, batch, asked)
        got = await session.fetch(CLAIM, account, limit, LEASE, batch)
        assert {row["parcel_id"]: row["fence"] for row in got} == {
            number: before[number]["fence"] + 1 for number in taken
        }, case
        lease = {"lease_until": NOW + LEASE, "due_at": NOW + LEASE}
        assert await rows_of(session) == {
            number: row | lease | {"fence": row["fence"] + 1} if number in taken else row
            for number, row in before.items()
        }
        left = [row["due_at"] if n not in taken else NOW + LEASE for n, row in ours.items()]
        assert await session.fetchval(TURN) == max(min(left), NOW, paused or NOW), case
        served = await session.fetchval("SELECT served_at FROM lane WHERE carrier_code='sandbox'")
        assert served == (NOW if taken else NOW - LEASE)
        asked += len(taken)
        assert await session.fetchval(ASKED, NOW.date()) == (asked or None), "none is no row"
    assert await session.fetchrow("SELECT * FROM lane WHERE carrier_code = 'dhl'") == beside


async def test_a_row_due_at_this_instant_is_due_however_many_share_it(
    session: asyncpg.Connection, account: int
) -> None:
    last = await session.fetchval("SELECT max(parcel_id) FROM watch WHERE carrier_code='sandbox'")
    for urgency, limit in ((1, PARCELS), (0, 4)):
        # Of urgency 1 a quarter, then the rest, which was due when the last of those was.
        await session.execute(
            "UPDATE watch SET urgency = CASE WHEN parcel_id = $1 THEN 3 ELSE $2::smallint END,"
            " due_at = CASE WHEN parcel_id = $1 THEN $3::timestamptz ELSE $4 END",
            *(last, urgency, NOW, NOW - LEASE),
        )
        got = await session.fetch(CLAIM, account, limit, LEASE, 1)
        assert len(got) == limit
        assert last in {row["parcel_id"] for row in got}


async def test_a_claim_waits_for_its_own_lane_alone_and_takes_no_row_another_holds(
    session: asyncpg.Connection, account: int, dsn: str
) -> None:
    due, soon, last_question, held, planned, *_ = [*await rows_of(session)]
    await session.execute("UPDATE watch SET due_at = 'infinity', last_checked_at = $1", NOW - LEASE)
    for number, seconds, urgency in (
        (due, 0, 0),
        (held, 1, 0),
        (last_question, 2, 3),
        (soon, 3, 1),
    ):
        await session.execute(
            "UPDATE watch SET due_at = $2, urgency = $3 WHERE parcel_id = $1",
            *(number, after(seconds), urgency),
        )
    other = await asyncpg.connect(dsn)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT FROM watch WHERE parcel_id = $1 FOR UPDATE", held)
    await other.execute("SELECT FROM lane WHERE carrier_code = 'dhl' FOR UPDATE")
    # Reached only by a claim that waits for one of these.
    await session.execute("SET lock_timeout = '2s'")
    got = await session.fetch(CLAIM, account, 50, LEASE, 2)
    assert {row["parcel_id"] for row in got} == {due, soon}, "one has its time, one is held"
    await transaction.rollback()
    await session.execute("UPDATE watch SET due_at = 'infinity' WHERE parcel_id <> $1", due)
    await session.execute("UPDATE watch SET due_at = $2 WHERE parcel_id = $1", due, NOW)
    # What another plans for this lane meanwhile is heeded: its turn is the earlier of both.
    transaction = other.transaction()
    await transaction.start()
    await other.execute("UPDATE watch SET due_at = $2 WHERE parcel_id = $1", planned, after(1))
    await other.execute("UPDATE lane SET turn_at = $1 WHERE carrier_code = 'sandbox'", after(1))
    await session.execute("SET lock_timeout = 0")
    claim = asyncio.create_task(session.fetch(CLAIM, account, 50, LEASE, 2))
    blocked = "SELECT pg_blocking_pids($1) <> '{}'"
    while not await other.fetchval(blocked, session.get_server_pid()):
        assert not claim.done(), "it waits for its lane"
        await asyncio.sleep(0.01)
    await transaction.commit()
    assert {row["parcel_id"] for row in await claim} == {due}
    assert await session.fetchval(TURN) == after(1)
    await other.close()
