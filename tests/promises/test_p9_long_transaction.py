"""P9: one transaction that is held open does not sink the ship, and somebody is told of it.

A session holds a snapshot and a transaction number while parcels are registered and asked about.
``P9_SECONDS`` (8) is how long; above 70 the published alarm must go on, and off again afterwards,
and the throughput is judged by the promise: that form wants a machine that does nothing else.
"""

import asyncio
import os
import time
from typing import Any

import aiohttp
import pytest
from bench.ports import free_port
from tests.chaos.fast import Run, running_fast
from tests.chaos.questions import asked
from tests.cli.test_metrics_port import Sample, firing, samples_of
from tests.promises.figures import keep

from milepost.db.pool import Role, open_pool

SECONDS = float(os.environ.get("P9_SECONDS", "8"))
ALARM_SECONDS = 70
SETTLE_SECONDS, WARM_SECONDS = (30.0, 30.0) if SECONDS > ALARM_SECONDS else (0.0, 4.0)
"""Until as many parcels are on their way as there will be, and how long the throughput is measured
before: at first registrations have the machine for themselves."""
KEPT = 0.8 if SECONDS > ALARM_SECONDS else 0.15
"""Of the throughput before, at least. In the short form other work may come and go between what is
compared, and what sinks is at 0."""
GAUGE = "milepost_oldest_transaction_seconds"
OUR_ROLES: tuple[Role, ...] = ("milepost_app", "milepost_worker", "milepost_admin")
pytestmark = [pytest.mark.promise, pytest.mark.slow]


@pytest.mark.timeout(400 + 2 * SECONDS)
async def test_work_goes_on_beside_a_transaction_that_is_held_open() -> None:
    port = free_port()
    async with running_fast(2, asked_every=2, MILEPOST_METRICS_PORT=str(port)) as run:
        await run.answered_again(20)
        await asyncio.sleep(SETTLE_SECONDS)
        begun = time.time()
        await asyncio.sleep(WARM_SECONDS)
        before = measure(run, begun)
        calm = highest(await scrape(port))
        holder = await run.house.connect()
        try:
            await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT txid_current()")
            held = time.time()
            await asyncio.sleep(SECONDS)
            beside = measure(run, held)
            seen = await told_of(port)
        finally:
            await holder.close()
        afterwards = await cleared(port)
        wrong = await run.finish()
    figures = {
        "held_seconds": SECONDS,
        "before": before,
        "beside": beside,
        "oldest_transaction_seconds": [round(calm, 1), round(highest(seen), 1)],
        "alarms": sorted(firing(seen)),
        "cleared_after_seconds": round(afterwards, 1),
        "violations": len(wrong),
    }
    keep("P9", **figures)
    assert wrong == [], "\n".join(wrong[:8])
    for what in ("registrations", "questions"):
        assert beside[what] >= KEPT * before[what], figures
    assert calm < SECONDS / 2 < highest(seen), figures
    assert ("MilepostOldestTransaction" in firing(seen)) == (SECONDS > ALARM_SECONDS), figures


async def test_none_of_our_own_sessions_holds_a_transaction_for_long(
    dsn: str, settings: Any
) -> None:
    for role in OUR_ROLES:
        async with await open_pool(dsn, role, settings) as pool:
            limit = await pool.fetchval("SHOW idle_in_transaction_session_timeout")
        assert limit == "30s", role


def measure(run: Run, since: float) -> dict[str, float]:
    """Registrations and questions to the carrier a second, from ``since`` until now."""
    seconds = time.time() - since
    newly = time.monotonic() - seconds
    registered = sum(at > newly for at, _ in run.load.acknowledged)
    questions = len(asked(run.load.carrier.ledger.path, since))
    return {
        "registrations": round(registered / seconds, 1),
        "questions": round(questions / seconds, 1),
    }


async def scrape(port: int) -> list[Sample]:
    url = f"http://127.0.0.1:{port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as got:
        assert got.status == 200
        return samples_of(await got.text())


def highest(samples: list[Sample]) -> float:
    return max(value for name, _, value in samples if name == GAUGE)


async def told_of(port: int) -> list[Sample]:
    """What is told as soon as an open transaction is: gauges are looked at now and then."""
    async with asyncio.timeout(60):
        while highest(seen := await scrape(port)) <= SECONDS / 2:
            await asyncio.sleep(0.5)
    return seen


async def cleared(port: int) -> float:
    """How long after its end the transaction was told of."""
    ended = time.monotonic()
    async with asyncio.timeout(60):
        while highest(await scrape(port)) > SECONDS / 2:
            await asyncio.sleep(0.5)
    return time.monotonic() - ended
