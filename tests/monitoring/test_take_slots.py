"""The carriers' limiter in the database, call by call beside a model; the clock stands still."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.stopped_clock import beside, put, stopped, waits_for_a_lock

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
NEVER = datetime.min.replace(tzinfo=UTC)
NOTHING = timedelta()
COLUMNS = (
    "next_slot_at",
    "paused_until",
    "faults",
    "window_at",
    "open_until",
    "probe",
    "probe_until",
)
TAKE = "SELECT * FROM take_slots($1, $2, $3, $4, $5, $6, $7)"
ROW = "SELECT * FROM carrier_budget WHERE carrier_code = 'dhl' AND owner = 'operator'"
OTHERS = "SELECT count(*) FROM carrier_budget WHERE next_slot_at = 'infinity'"


@pytest.fixture
async def session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    async with stopped(dsn) as connection:
        await put(connection, NOW)
        await connection.execute(
            "INSERT INTO carrier_budget (carrier_code, owner, next_slot_at, probe, open_until)"
            " VALUES ('dhl', 'account:7', 'infinity', 70, 'infinity'),"
            " ('ups', 'operator', 'infinity', 70, 'infinity')"
        )
        yield connection


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def expected(
    row: dict[str, Any],
    paused: bool,
    spacing: timedelta,
    horizon: timedelta,
    most: int,
    own: int | None,
    lease: timedelta,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer and the row afterwards, as the comment on ``take_slots`` tells them."""
    start = max(row["next_slot_at"], row["paused_until"] or NEVER, NOW)
    wait = start - NOW
    opened, until = row["open_until"], row["probe_until"]
    fault = opened is not None or row["faults"] > 0
    answer = {
        "granted": 0,
        "start_at": start,
        "wait": wait,
        "clock": NOW,
        "why": "",
        "probe": None,
        "troubled": fault or row["window_at"] > NOW - seconds(60),
    }
    if paused:
        return answer | {"why": "paused", "wait": max(wait, seconds(300))}, row
    if opened is not None and opened > NOW:
        return answer | {"why": "open", "wait": max(wait, opened - NOW)}, row
    if opened is not None and until is not None and until > NOW and row["probe"] != own:
        stay = min(until - NOW, seconds(5))
        return answer | {"why": "open", "wait": max(wait, stay)}, row
    if wait > horizon:
        return answer | {"why": "quota"}, row
    if opened is not None:
        answer["granted"] = 1
        answer["probe"] = own if own == row["probe"] else row["probe"] + 1
        row = row | {"probe": answer["probe"], "probe_until": NOW + lease}
    elif spacing == NOTHING:
        answer["granted"] = most
    else:
        answer["granted"] = min(most, 1 + (horizon - wait) // spacing)
    if spacing > NOTHING:
        row = row | {"next_slot_at": start + answer["granted"] * spacing}
    return answer, row


async def test_every_call_is_answered_as_the_model_says(session: asyncpg.Connection) -> None:
    dice = random.Random(7)
    await session.execute("INSERT INTO carrier_budget (carrier_code, owner) VALUES ('dhl', 'x')")
    for case in range(400):
        row = {
            "next_slot_at": NOW + seconds(dice.choice([-60, 0, 0.5, 1, 3])),
            "paused_until": dice.choice([None, None, NOW - seconds(5), NOW + seconds(0.25)]),
            "faults": dice.choice([0, 0, 1]),
            "window_at": NOW - seconds(dice.choice([59.9, 60, 61, 130])),
            "open_until": dice.choice(
                [None, None, NOW - seconds(1), NOW, NOW + seconds(4), NOW + seconds(400)]
            ),
            "probe": dice.choice([0, 1, 2]),
            "probe_until": dice.choice([None, NOW, NOW + seconds(2), NOW + seconds(50)]),
        }
        await session.execute("DELETE FROM carrier_budget WHERE owner = 'operator' AND probe < 70")
        await session.execute(
            f"INSERT INTO carrier_budget (carrier_code, owner, {', '.join(COLUMNS)})"
            " VALUES ('dhl', 'operator', $1, $2, $3, $4, $5, $6, $7)",
            *(row[column] for column in COLUMNS),
        )
        paused = dice.random() < 0.1
        await session.execute("DELETE FROM carrier_pause")
        await session.execute(
            "INSERT INTO carrier_pause (carrier_code) VALUES ($1)", "dhl" if paused else "ups"
        )
        asked = (
            seconds(dice.choice([0, 0.25, 0.5])),
            seconds(dice.choice([0, 0.5, 1, 2])),
            dice.choice([1, 2, 50]),
            dice.choice([None, 1, 2]),
            seconds(60),
        )
        answer, after = expected(row, paused, *asked)
        got = await session.fetchrow(TAKE, "dhl", "operator", *asked)
        assert got is not None
        assert dict(got) == answer, (case, row, asked)
        kept = await session.fetchrow(ROW)
        assert kept is not None
        assert {column: kept[column] for column in COLUMNS} == after, (case, row, asked)
    assert await session.fetchval(OTHERS) == 2
    assert await session.fetchval("SELECT sum(probe) FROM carrier_budget WHERE probe >= 70") == 140


async def test_the_first_to_ask_makes_the_row(session: asyncpg.Connection) -> None:
    for at, granted in ((NOW, 3), (NOW + seconds(0.2), 0)):
        await put(session, at)
        got = await session.fetchrow(
            TAKE, "dhl", "operator", seconds(0.5), seconds(1), 50, None, seconds(60)
        )
        assert got is not None
        assert (got["granted"], got["start_at"]) == (
            granted,
            NOW + (1 - granted / 3) * seconds(1.5),
        )


async def test_two_callers_at_once_are_one_after_the_other(
    session: asyncpg.Connection, dsn: str
) -> None:
    asked = ("dhl", "operator", seconds(0.5), seconds(10), 3, None, seconds(60))
    await session.fetchrow(TAKE, *asked)
    async with beside(dsn) as other:
        async with session.transaction():
            await session.fetchrow(TAKE, *asked)
            second = asyncio.create_task(other.fetchrow(TAKE, *asked))
            await waits_for_a_lock(session, other)
        got = await second
        assert got is not None
        assert got["start_at"] == NOW + seconds(3)


@pytest.mark.parametrize(
    ("moved", "unused", "after"),
    [(0, 2, 1.5), (0, 5, 0), (0, 0, 2.5), (0.5, 2, 3.0), (-0.5, 2, 2.0)],
)
async def test_slots_go_back_from_the_end_while_they_are_the_last(
    session: asyncpg.Connection, moved: float, unused: int, after: float
) -> None:
    await session.execute(
        "INSERT INTO carrier_budget (carrier_code, owner, next_slot_at) VALUES "
        "('dhl', 'operator', $1::timestamptz + $2), ('dhl', 'x', $1), ('ups', 'x', $1)",
        NOW + seconds(2.5),
        seconds(moved),
    )
    await session.execute(
        "SELECT return_carrier_slots('dhl', 'operator', $1, $2, 5, $3)", seconds(0.5), NOW, unused
    )
    kept = await session.fetchrow(ROW)
    assert kept is not None
    assert kept["next_slot_at"] == NOW + seconds(after)
    same = "SELECT count(*) FROM carrier_budget WHERE owner = 'x' AND next_slot_at = $1"
    assert await session.fetchval(same, NOW + seconds(2.5)) == 2


async def test_the_longest_wait_a_carrier_asked_for_holds(session: asyncpg.Connection) -> None:
    for wait, paused in ((30, 30), (10, 30), (60, 60)):
        await session.execute("SELECT hold_carrier('dhl', 'operator', $1)", seconds(wait))
        kept = await session.fetchrow(ROW)
        assert kept is not None
        assert kept["paused_until"] == NOW + seconds(paused)
    got = await session.fetchrow(
        TAKE, "dhl", "operator", NOTHING, seconds(1), 50, None, seconds(60)
    )
    assert got is not None
    assert (got["granted"], got["why"], got["wait"]) == (0, "quota", seconds(60))
