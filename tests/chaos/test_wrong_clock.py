"""P1 with a worker whose clock jumps an hour ahead and an hour back: the database's clock decides.

The other worker is frozen meanwhile, for longer than its lease. ``WRONG_CLOCK_SECONDS`` (3) is how
long each wrong time lasts. Needs libfaketime (Debian: ``apt install libfaketime``).
"""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.chaos.fast import PATIENCE, Run, running_fast
from tests.chaos.questions import asked, asked_at_once
from tests.promises.figures import keep

SECONDS = float(os.environ.get("WRONG_CLOCK_SECONDS", "3"))
LEASE = 1.5
SOON = 0.5
LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
SLEEP = Path(__file__).with_name("wrong_clock")
pytestmark = [pytest.mark.promise, pytest.mark.beside, pytest.mark.slow]


@pytest.mark.skipif(LIBRARY is None, reason="a worker with a wrong clock needs libfaketime")
@pytest.mark.timeout(4 * PATIENCE + 4 * SECONDS)
async def test_a_worker_whose_clock_jumps_forgets_nothing_and_asks_nothing_early() -> None:
    async with running_fast(LEASE, asked_every=3, MILEPOST_WORKER_PROCESSES="1") as run:
        clock = run.house.state_dir / "clock"
        clock.write_text("+0")
        jumping = run.house.spawn(
            "worker",
            0,
            MILEPOST_WORKER_PROCESSES="1",
            PYTHONPATH=str(SLEEP),
            LD_PRELOAD=str(LIBRARY),
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        async with asyncio.timeout(PATIENCE):
            while not run.house.serving(jumping):
                await asyncio.sleep(0.1)
        await run.answered_again(50)
        (frozen,) = run.house.workers()
        frozen.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(2 * LEASE)
            for hours in (1, -1):
                clock.write_text(f"{3600 * hours:+d}")
                await asyncio.sleep(SECONDS)
                async with asyncio.timeout(PATIENCE):
                    while hours not in await jumps_seen(run):
                        await asyncio.sleep(0.2)
        finally:
            frozen.send_signal(signal.SIGCONT)
        jumps = await jumps_seen(run)
        wrong = await run.finish()
        questions = asked(run.load.carrier.ledger.path)
        early = asked_at_once(questions, SOON)
        keep(
            "P1 wrong clock",
            hours_seen=jumps,
            watched=run.load.watched,
            questions=len(questions),
            asked_early=len(early),
            drain_seconds=round(run.drain_seconds, 1),
            violations=len(wrong),
        )
        assert jumps == (-1, 1), "the worker did not see the wrong time, or asked nobody"
        assert wrong == [], "\n".join(wrong[:8])
        assert early == []


async def jumps_seen(run: Run) -> tuple[int, int]:
    """How many hours what the worker wrote is behind and ahead of its parcels' registration."""
    connection = await run.house.connect()
    try:
        row = await connection.fetchrow(
            "SELECT round(extract(epoch FROM min(e.recorded_at - p.created_at)) / 3600)::integer,"
            " round(extract(epoch FROM max(e.recorded_at - p.created_at)) / 3600)::integer"
            " FROM event e JOIN parcel p USING (account_id, parcel_id)"
        )
    finally:
        await connection.close()
    assert row is not None
    return row[0], row[1]
