"""Telling subscribers: deliveries beside a bare loop of POSTs, one dead among many connections, and
what it costs to record and fan out an event that five subscriptions want.

The worker is the real one; the subscriber is a server on loopback.
"""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

import orjson

from bench.checking import PATIENCE_SECONDS, ask, worker_process
from bench.clones import Copies, copy, make_template, observation
from bench.cpu import cpu_seconds
from bench.house import running
from bench.rows import Row, paired
from bench.run import SCANS, Run
from bench.subscribers import (
    BODY,
    Place,
    allowed,
    connect,
    delivered,
    fill,
    new_place,
    send_to,
)
from milepost import wiring
from milepost.notifications.bodies import Bodies
from milepost.notifications.fan_out import FanOut
from milepost.notifications.turn import AT_ONCE
from milepost.parcels.record import WatchPlan
from milepost.tracking.parcel import EVENT_ID_STRIDE
from milepost.worker.notifying import AWAKE_SECONDS, IDLE_LOOK_SECONDS

CONNECTIONS = 8
SUBSCRIPTIONS = 5
_SOON_OVER = {"MILEPOST_EGRESS_SECONDS": "5"}


async def rows(run: Run) -> list[Row]:
    """Deliveries, the dead one, recording and fan-out, and the way of a single event."""
    with running([sys.executable, "-m", "bench.receiver"], {}) as receiver:
        return await run.each(
            {
                "deliveries": lambda: _deliveries(run, receiver.port),
                "deliveries to others beside a dead one": lambda: _one_dead(run, receiver.port),
                "records and fan-out": lambda: _subscribed(run, receiver.port),
                "commit to first byte": lambda: _way(run, receiver.port),
            }
        )


async def _deliveries(run: Run, port: int) -> list[Row]:
    run.say("deliveries beside a bare loop")
    place = await new_place(run, "delivering", port)
    connections = await connect(place, [f"/hook/{nth}" for nth in range(CONNECTIONS)])
    each = run.scale.deliveries // CONNECTIONS
    count = each * CONNECTIONS
    ours, bare, cpu, postgres, bare_cpu = [], [], [], [], []
    async with worker_process(place.database, allowed(place)) as worker:
        await _come_up(place, connections, connections)
        for _ in range(run.scale.pairs):
            await fill(place, connections, each)
            before = cpu_seconds(worker), cpu_seconds(run.house.postgres)
            ours.append(await delivered(place, count, connections) / count)
            cpu.append((cpu_seconds(worker) - before[0]) / count)
            postgres.append((cpu_seconds(run.house.postgres) - before[1]) / count)
            spent = await _bare(port, count)
            bare.append(spent["seconds"])
            bare_cpu.append(spent["cpu"])
    told = (
        f"{1 / median(ours):,.0f}/s, bare {1 / median(bare):,.0f}/s; "
        f"{1e6 * median(cpu):.0f} us of the worker's CPU and {1e6 * median(postgres):.0f} of "
        f"PostgreSQL's, bare {1e6 * median(bare_cpu):.0f}"
    )
    return [Row("deliveries, of a bare loop of POSTs", paired(bare, ours), 0.35, told=told)]


async def _come_up(place: Place, connections: Sequence[int], alive: Sequence[int]) -> None:
    """Return when the worker has delivered one to each: its start is not measured."""
    await fill(place, connections, 1)
    await delivered(place, len(alive), alive)


async def _bare(port: int, count: int) -> dict[str, float]:
    words = ("bench.posting", *map(str, (port, count, CONNECTIONS * AT_ONCE, len(BODY))))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    spent: dict[str, float] = orjson.loads(said)
    return spent


async def _one_dead(run: Run, port: int) -> list[Row]:
    """The same connections, all alive and with one that never answers, in turns."""
    many = run.scale.connections
    run.say(f"one dead among {many:,} connections")
    place = await new_place(run, "connections", port)
    connections = await connect(place, [f"/hook/{nth}" for nth in range(many)])
    count = (many - 1) * run.scale.each
    alive: list[float] = []
    beside: list[float] = []
    for _ in range(2):
        for path, seconds in (("/hook", alive), ("/hang", beside)):
            await send_to(place, connections[0], path)
            # One that knows nothing of the turn before, and need not wait long for what hangs.
            async with worker_process(place.database, allowed(place) | _SOON_OVER):
                await _come_up(place, connections, connections[1:])
                await fill(place, connections, run.scale.each)
                seconds.append(await delivered(place, count, connections[1:]))
    told = f"{count / median(alive):,.0f}/s without it"
    return [Row("deliveries to others beside a dead one", paired(alive, beside), 0.95, told=told)]


async def _subscribed(run: Run, port: int) -> list[Row]:
    """Records and fan-out of an account with five subscriptions, and with none, in turns."""
    run.say("recording and fan-out for five subscriptions")
    count = run.scale.records // 4
    costs: dict[int, list[float]] = {0: [], SUBSCRIPTIONS: []}
    spread, inserts = [], []
    for turn in range(2):
        for wanted, cost in costs.items():
            place = await new_place(run, f"subscribed_{wanted}_{turn}", port)
            await place.database.login("dhl")
            template = await make_template(place.database, place.account_id, SCANS)
            await copy(place.database, Copies(place.account_id, template, count))
            await connect(place, [f"/hook/{nth}" for nth in range(wanted)])
            async with wiring.core_parts(place.database.settings, "milepost_worker") as core:
                fan_out = FanOut(core.pool, core.renderer, Bodies())
                while await fan_out.tell(place.account_id):
                    pass
                cost.append(await _records(run, core, place, template, count))
                if wanted:
                    spread.append(await _spread(run, core, fan_out, place, count))
                    inserts.append(await _inserts(run, core, place, count))
    recording = paired(costs[SUBSCRIPTIONS], costs[0])
    told = f"{median(costs[SUBSCRIPTIONS]):.0f} and {median(costs[0]):.0f} us of CPU a record"
    ratio = paired(spread, inserts)
    how = f"{median(spread):.0f} us of CPU an event, {median(inserts):.0f} an insert"
    return [
        Row("record with 5 subscriptions, of one without", recording, 1.2, at_most=True, told=told),
        Row("fan-out of it to 5, of a single insert", ratio, 5, at_most=True, told=how),
    ]


async def _records(
    run: Run, core: wiring.CoreParts, place: Place, template: int, count: int
) -> float:
    """CPU microseconds a record of one new event, with PostgreSQL's."""
    due = WatchPlan(1, 3600.0, 0, "00")

    async def work() -> int:
        for parcel_id in range(template + 1, template + 1 + count):
            seen = observation(SCANS, SCANS)
            await core.recorder.record(
                place.account_id, parcel_id, seen, datetime.now(UTC), lambda *_: due
            )
        return count

    return await _cost(run, work)


async def _spread(
    run: Run, core: wiring.CoreParts, fan_out: FanOut, place: Place, count: int
) -> float:
    async def work() -> int:
        told = 0
        while more := await fan_out.tell(place.account_id):
            told += more
        if told != count:
            raise RuntimeError(f"{told} events were fanned out, {count} were recorded")
        return told

    return await _cost(run, work)


async def _inserts(run: Run, core: wiring.CoreParts, place: Place, count: int) -> float:
    """One row in a transaction of its own, as an application without an outbox would."""

    async def work() -> int:
        for nth in range(count):
            async with core.pool.acquire() as connection:
                await connection.execute(
                    f"BEGIN; SET LOCAL milepost.account_id = '{place.account_id}'"
                )
                await connection.execute(_INSERT, place.account_id, nth, BODY)
                await connection.execute("COMMIT")
        return count

    return await _cost(run, work)


async def _cost(run: Run, work: Any) -> float:
    before = time.process_time()
    done: list[int] = []

    async def counted() -> int:
        done.append(await work())
        return done[0]

    postgres, _ = await run.measured(counted, run.house.postgres)
    return postgres + 1e6 * (time.process_time() - before) / done[0]


async def _way(run: Run, port: int) -> list[Row]:
    """From the commit of a record to its first byte at the subscriber, nothing having happened."""
    run.say("the way of a single event")
    place = await new_place(run, "way", port)
    await place.database.login("dhl")
    template = await make_template(place.database, place.account_id, SCANS)
    count = run.scale.events + 1
    await copy(place.database, Copies(place.account_id, template, count, due="'infinity'"))
    await connect(place, ["/hook"])
    due = WatchPlan(1, 3600.0, 0, "00")
    ways = []
    async with (
        worker_process(place.database, allowed(place)),
        wiring.core_parts(place.database.settings, "milepost_worker") as core,
    ):
        ask(port, "/count")
        for parcel_id in range(template + 1, template + 1 + count):
            # It is quiet, and no particular moment between two looks of the worker.
            await asyncio.sleep(1.2 * AWAKE_SECONDS + random.uniform(0, 4 * IDLE_LOOK_SECONDS))
            seen = observation(SCANS, SCANS)
            await core.recorder.record(
                place.account_id, parcel_id, seen, datetime.now(UTC), lambda *_: due
            )
            ways.append(await _came(port, parcel_id, time.time()))
    # The worker was still coming up during the first.
    ways = ways[1:]
    told = f"of {len(ways)}, the slowest {1000 * max(ways):.0f} ms"
    return [
        Row("commit to first byte, p50", 1000 * median(ways), 50, "ms", True, told),
        Row("commit to first byte, p99", 1000 * quantiles(ways, n=100)[98], 500, "ms", True, told),
    ]


async def _came(port: int, parcel_id: int, since: float) -> float:
    """Seconds until the first event of a parcel began to come."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends:
        await asyncio.sleep(0.1)
        for name, at in ask(port, "/told")["at"].items():
            if int(name) // EVENT_ID_STRIDE == parcel_id:
                return float(at - since)
    raise RuntimeError("an event did not come")


_INSERT = """
INSERT INTO message (account_id, parcel_id, event_id, action, form, body)
VALUES ($1, $2, 'x', 'x', 'x', $3)
"""
