"""An observation with three new events, beside pgbench doing the same statements.

``python -m bench.recording``, a job as JSON on stdin, records in a process of its own.
"""

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median

import orjson
import uvloop

from bench import pgbench
from bench.capture import TRIES, fewest, noting, script
from bench.clones import observation
from bench.house import Database
from bench.rows import Row, paired
from bench.run import SCANS, Filled, Run
from milepost import settings, wiring
from milepost.parcels.record import WatchPlan

NEW = 3
CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """Record on ``count`` parcels from ``first`` on, ``CLIENTS`` at a time."""

    account_id: int
    first: int
    count: int


async def rows(run: Run, main: Filled) -> list[Row]:
    """What a record costs in the worker's process and PostgreSQL, beside its statements alone."""
    run.say("recording three new events beside pgbench")
    commands = await _script(main)
    each = run.scale.records // CLIENTS
    count = each * CLIENTS
    ours, theirs, rates, limits = [], [], [], []
    for turn in range(run.scale.pairs):
        first = 1 + 2 * turn * count
        job = Job(main.merchant.account_id, main.template + first, count)
        cost, seconds = await _recorded(run, main.database, job)
        ours.append(cost)
        rates.append(1 / seconds)

        async def work(first: int = first + count) -> int:
            return await pgbench.run(
                run.house,
                main.database,
                commands,
                clients=CLIENTS,
                first=first,
                span=each,
                transactions=each,
            )

        cost, seconds = await run.measured(work, run.house.postgres)
        theirs.append(cost)
        limits.append(1 / seconds)
    told = (
        f"{median(ours):.0f} us of CPU a record with PostgreSQL's, pgbench's statements "
        f"{median(theirs):.0f}; {median(rates):,.0f}/s, pgbench {median(limits):,.0f}/s"
    )
    return [Row("record of 3 new events, of pgbench's speed", paired(theirs, ours), 0.5, told=told)]


async def _script(main: Filled) -> pgbench.Script:
    """What a record sends once the lane is known: noted at the last copy, made for the others."""
    last = main.template + main.parcels
    with noting() as noted:
        async with wiring.core_parts(main.database.settings, "milepost_worker") as core:
            record = partial(_record, core, main.merchant.account_id)
            ids = range(last - TRIES, last + 1)
            parcel_id, statements = await fewest(
                noted, [(one, partial(record, one)) for one in ids]
            )
    connection = await main.database.connect()
    try:
        text, values = await script(statements, connection, parcel_id)
    finally:
        await connection.close()
    return pgbench.Script(text, values, main.template)


async def _record(core: wiring.CoreParts, account_id: int, parcel_id: int) -> None:
    seen = observation(SCANS, SCANS + NEW - 1)
    due = WatchPlan(1, 3600.0, 0, "00")
    done = await core.recorder.record(
        account_id, parcel_id, seen, datetime.now(UTC), lambda *_: due
    )
    if done.new_events != NEW:
        raise RuntimeError(f"{done.new_events} new events were recorded instead of {NEW}")


async def _recorded(run: Run, database: Database, job: Job) -> tuple[float, float]:
    """CPU microseconds (PostgreSQL's included) and seconds a record, in a process of its own."""
    spent: list[dict[str, float]] = []

    async def work() -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.recording"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=database.environment,
        )
        said, _ = await process.communicate(orjson.dumps(job))
        if process.returncode != 0:
            raise RuntimeError("the recording process failed")
        spent.append(orjson.loads(said))
        return job.count

    postgres, _ = await run.measured(work, run.house.postgres)
    return postgres + 1e6 * spent[0]["cpu"] / job.count, spent[0]["seconds"] / job.count


async def _work(job: Job) -> dict[str, float]:
    waiting = iter(range(job.first, job.first + job.count))
    async with wiring.core_parts(settings.load(), "milepost_worker") as core:

        async def client() -> None:
            for parcel_id in waiting:
                await _record(core, job.account_id, parcel_id)

        cpu, started = time.process_time(), time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    wanted = Job(**orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps(uvloop.run(_work(wanted))))
