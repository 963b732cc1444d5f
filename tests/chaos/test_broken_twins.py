"""The crash test against planted bugs: a check that can't fail proves nothing."""

import asyncio
import re
from collections.abc import Sequence

import pytest
from tests.chaos.checker import read, verdict
from tests.chaos.fast import Run, running_fast
from tests.chaos.installation import Installation
from tests.chaos.supervisor import kill
from tests.promises.figures import keep

MOST_KILLS = 5
pytestmark = [pytest.mark.promise, pytest.mark.slow, pytest.mark.timeout(240)]


async def change(house: Installation, *statements: str) -> None:
    connection = await house.connect()
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def break_function(house: Installation, name: str, *cuts: tuple[str, str]) -> None:
    """Replace a function by a twin in which each pattern is replaced once."""
    connection = await house.connect()
    try:
        source = await connection.fetchval(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = $1", name
        )
        for pattern, instead in cuts:
            source, made = re.subn(pattern, instead, source, flags=re.DOTALL)
            assert made == 1, (name, pattern)
        await connection.execute(source)
    finally:
        await connection.close()


def about(wrong: Sequence[str], what: str) -> list[str]:
    return [line for line in wrong if what in line]


async def test_it_sees_answers_given_before_the_commit_is_on_disk() -> None:
    """``synchronous_commit=off`` on the acknowledging connections, and the server killed."""
    async with running_fast(lease=5, asked_every=10**9) as run:
        await change(
            run.house,
            "ALTER ROLE milepost SET synchronous_commit = off",
            "ALTER SYSTEM SET wal_writer_delay = '10s'",
            "ALTER SYSTEM SET wal_writer_flush_after = '1GB'",
            "SELECT pg_reload_conf()",
        )
        kill([*run.house.api_processes(), *run.house.workers()])
        lost: list[str] = []
        kills = 0
        while not lost and kills < MOST_KILLS:
            await asyncio.sleep(4)
            kill(run.house.database())
            kills += 1
            await _answering_again(run)
            lost = about(
                verdict(run.load.ledger.path, await read(run.house)), "acknowledged and lost"
            )
        keep("P1 broken twin: asynchronous commit", kills=kills, lost=len(lost))
        assert lost


async def _answering_again(run: Run) -> None:
    before = len(run.load.acknowledged)
    async with asyncio.timeout(60):
        while len(run.load.acknowledged) < before + 20:
            await asyncio.sleep(0.1)


async def test_it_sees_a_claim_without_lease_and_a_record_that_writes_twice() -> None:
    """Leases far shorter than an answer takes make two workers ask about everything at once."""
    async with running_fast(0.05, slow_every=1, slow_seconds=0.1, asked_every=2) as run:
        await asyncio.sleep(6)
        assert verdict_on_doubles(await judge(run)) == [], "with its guards it bears the race"
        await break_function(
            run.house,
            "record_observation",
            (
                r"FROM parcel_row r, jsonb_to_recordset\(p_new_events\)",
                "FROM generate_series(1, 2), parcel_row r, jsonb_to_recordset(p_new_events)",
            ),
        )
        await change(
            run.house,
            "ALTER TABLE event DROP CONSTRAINT event_pkey",
            "ALTER TABLE event DROP CONSTRAINT event_account_id_parcel_id_event_key_key",
        )
        doubled: list[str] = []
        for _ in range(10):
            await asyncio.sleep(1)
            if doubled := verdict_on_doubles(await judge(run)):
                break
        await break_function(
            run.house, "claim_watches", (r"due_at = now\(\) \+ p_lease", "due_at = 'infinity'")
        )
        await asyncio.sleep(1)
        kill(run.house.workers())
        await asyncio.sleep(1)
        forgotten = about(await run.finish(patience=6), ": lost [")
        keep("P1 broken twins", doubled=len(doubled), forgotten=len(forgotten))
        assert doubled
        assert forgotten


async def judge(run: Run) -> list[str]:
    """A verdict in the middle of a run, when parcels are still on their way."""
    return verdict(run.load.ledger.path, await read(run.house))


def verdict_on_doubles(wrong: Sequence[str]) -> list[str]:
    return (
        about(wrong, "the same event twice") + about(wrong, "too many") + about(wrong, "sequences")
    )
