"""The crash test against planted bugs: a check that can't fail proves nothing.

Each fault is made so that it shows whatever the timing: what would have been in time is held back.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.chaos.checker import read, verdict
from tests.chaos.fast import FEW, PATIENCE, Run, running_fast
from tests.chaos.installation import Installation
from tests.chaos.ledger import lines
from tests.chaos.supervisor import kill
from tests.promises.figures import keep

HASTY = Path(__file__).with_name("hasty")
LEASE = r"due_at = now\(\) \+ p_lease"
WRITERS = ("walwriter", "checkpointer", "background writer")
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.slow, pytest.mark.timeout(600)]


async def change(house: Installation, *statements: str) -> None:
    connection = await house.connect()
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def break_function(house: Installation, name: str, *cuts: tuple[str, str]) -> str:
    """Replace a function by a twin in which each pattern is replaced once; gives the function."""
    return await twin_of(house, name, name, *cuts)


async def twin_of(house: Installation, name: str, called: str, *cuts: tuple[str, str]) -> str:
    """Make such a twin under a name of its own; gives the function."""
    connection = await house.connect()
    try:
        (row,) = await connection.fetch(
            "SELECT pg_get_functiondef(oid) AS source FROM pg_proc WHERE proname = $1", name
        )
        source: str = row["source"]
        for pattern, instead in ((rf"public\.{name}\(", f"public.{called}("), *cuts):
            source, made = re.subn(pattern, instead, source, flags=re.DOTALL)
            assert made == 1, (name, pattern)
        await connection.execute(source)
        return str(row["source"])
    finally:
        await connection.close()


def about(wrong: Sequence[str], what: str) -> list[str]:
    return [line for line in wrong if what in line]


async def test_it_sees_answers_given_before_the_commit_is_on_disk() -> None:
    """``synchronous_commit=off`` on the acknowledging connections, and the server killed."""
    async with running_fast(lease=5, asked_every=10**9) as run:
        await change(run.house, "ALTER ROLE milepost SET synchronous_commit = off")
        kill([*run.house.api_processes(), *run.house.workers()])
        await run.answered_again()
        # Those who would write the log a moment later.
        for one in run.house.database():
            with suppress(psutil.Error):
                if any(name in " ".join(one.cmdline()) for name in WRITERS):
                    one.suspend()
        await run.answered_again()
        kill(run.house.database())
        await run.answered_again(1)
        lost = about(await judge(run), "acknowledged and lost")
        keep("P1 broken twin: asynchronous commit", kills=1, lost=len(lost))
        assert lost


async def test_it_sees_answers_given_before_the_commit() -> None:
    async with running_fast(lease=5, asked_every=10**9, PYTHONPATH=str(HASTY)) as run:
        await run.answered_again(1)
        # Within the time that the commit is behind: to look for them takes a busy machine longer.
        answering = run.house.api_processes()
        await run.answered_again(1)
        kill(answering)
        await run.answered_again(1)
        lost = about(await judge(run), "acknowledged and lost")
        keep("P1 broken twin: acknowledged before the commit", kills=1, lost=len(lost))
        assert lost


async def test_it_sees_missing_guards_a_lost_next_check_and_a_lease_for_ever() -> None:
    async with running_fast(
        lease=1, slow_every=1, slow_seconds=0.3, asked_every=2, most_on_the_way=5
    ) as run:
        doubled = await without_guards(run)
        without_next = await without_next_check(run)
        for_ever = await with_leases_for_ever(run)
        keep(
            "P1 broken twins",
            doubled_without_guards=len(doubled),
            forgotten_without_next_check=len(without_next),
            forgotten_under_leases_for_ever=len(for_ever),
        )
        assert doubled
        assert without_next
        assert for_ever


async def without_guards(run: Run) -> list[str]:
    """Two workers take the same rows, and both write. Any single guard hides that others fail."""
    due_still = (LEASE, "due_at = now()")
    claims = await break_function(run.house, "claim_due", due_still)
    renews = await break_function(run.house, "renew_leases", due_still)
    # Longer than it takes the other worker to look for what is due.
    slow = (r"(BEGIN\s+PERFORM set_config[^;]+;)", r"\1 PERFORM pg_sleep(1);")
    records = await break_function(run.house, "record_observation", slow)
    await asyncio.sleep(4)
    assert of_doubles(await judge(run)) == [], "with its guards it bears the race"
    fence = r"AND \(p_fence IS NULL OR EXISTS \(.*?w\.fence = p_fence\)\)"
    await break_function(
        run.house,
        "record_observation",
        (r"AND p\.revision = p_revision", ""),
        (fence, ""),
        (r"AND \(p_fence IS NULL OR w\.fence = p_fence\)\s+AND", "AND"),
    )
    await change(
        run.house,
        "ALTER TABLE event DROP CONSTRAINT event_pkey",
        "ALTER TABLE event DROP CONSTRAINT event_account_id_parcel_id_event_key_key",
    )
    doubled: list[str] = []
    for _ in range(180):
        await asyncio.sleep(0.5)
        if doubled := of_doubles(await judge(run)):
            break
    await change(run.house, claims, renews, records)
    return doubled


async def without_next_check(run: Run) -> list[str]:
    """Whoever records news forgets to plan the next check."""
    run.load.most_on_the_way = run.load.on_the_way + FEW
    before = run.load.watched
    never = (r"due_at = CASE WHEN p_watch IS NULL.*?END,", "due_at = 'infinity',")
    records = await break_function(run.house, "record_observation", never)
    await asked_since(run, before)
    await run.finish(patience=4)
    await change(run.house, records)
    run.go_on()
    return forgotten(run, before)


async def with_leases_for_ever(run: Run) -> list[str]:
    """What a dead worker had in hand stays in its hand."""
    before = run.load.watched
    for_ever = (LEASE, "due_at = 'infinity'")
    await break_function(run.house, "claim_due", for_ever)
    await break_function(run.house, "renew_leases", for_ever)
    run.load.carrier.slow_seconds = 15
    await asked_since(run, before)
    kill(run.house.workers())
    run.load.carrier.slow_seconds = 0
    await run.finish(patience=4)
    return forgotten(run, before)


async def asked_since(run: Run, before: int) -> None:
    """Until the carrier was asked about some parcels after the first ``before`` watched ones."""
    async with asyncio.timeout(PATIENCE):
        while len(run.load.carrier.times_asked) < before + 5:
            await asyncio.sleep(0.05)


def forgotten(run: Run, before: int) -> list[str]:
    """Lines about parcels registered after the first ``before`` watched ones."""
    invoked = [line for line in lines(run.load.ledger.path) if line["kind"] == "invoke"]
    earlier = [line["number"] for line in invoked if line["carrier"] == "dhl"][:before]
    lost = about(run.wrong, ": lost [")
    return [line for line in lost if line.split(":")[0] not in earlier]


async def judge(run: Run) -> list[str]:
    """A verdict in the middle of a run, when parcels are still on their way."""
    return verdict(run.load.ledger.path, await read(run.house))


def of_doubles(wrong: Sequence[str]) -> list[str]:
    return (
        about(wrong, "the same event twice") + about(wrong, "too many") + about(wrong, "sequences")
    )
