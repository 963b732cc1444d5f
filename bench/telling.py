"""Telling subscribers: deliveries beside a bare loop of POSTs, one dead among many connections, and
what it costs to record and fan out an event that five subscriptions want.

The worker is the real one; the subscriber is a server on loopback.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median, quantiles
from typing import Any

import orjson

from bench.checking import PATIENCE_SECONDS, ask, worker_process
from bench.clones import Copies, copy, make_template, observation
from bench.cpu import cpu_seconds
from bench.house import Database, running
from bench.rows import Row, paired
from bench.run import SCANS, Run
from milepost import wiring
from milepost.accounts.secret_keys import SecretKeys
from milepost.notifications.bodies import Bodies
from milepost.notifications.deliver import AT_ONCE
from milepost.notifications.fan_out import FanOut
from milepost.notifications.sealing import Seals
from milepost.notifications.signing import new_key
from milepost.parcels.record import WatchPlan
from milepost.tracking.parcel import EVENT_ID_STRIDE

CONNECTIONS = 8
SUBSCRIPTIONS = 5
BODY = b"x" * 700
"""As long as an event's body is."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database with an account, and the subscriber's port."""

    database: Database
    account_id: int
    port: int


async def rows(run: Run) -> list[Row]:
    """Deliveries, the dead one, recording and fan-out, and the way of a single event."""
    with running([sys.executable, "-m", "bench.receiver"], {}) as receiver:
        return [
            await _deliveries(run, receiver.port),
            await _one_dead(run, receiver.port),
            *await _subscribed(run, receiver.port),
            *await _way(run, receiver.port),
        ]


async def _place(run: Run, name: str, port: int) -> Place:
    database = await run.house.database(name)
    merchant = await database.merchant("merchant")
    return Place(database, merchant.account_id, port)


async def _connect(place: Place, paths: Sequence[str], subscriptions: int = 1) -> list[int]:
    """A webhook connection for each path, with so many subscriptions to everything."""
    connection = await place.database.connect()
    keys = SecretKeys.load(place.database.settings, embedded=False)
    made = []
    try:
        for path in paths:
            connection_id = await connection.fetchval(_CONNECTION_ID)
            seals = Seals(keys, place.account_id, connection_id)
            url = f"http://127.0.0.1:{place.port}{path}"
            key = seals.seal_key(new_key())
            await connection.execute(_CONNECT, place.account_id, connection_id, url, key)
            await connection.execute(_LANE, place.account_id, connection_id)
            for _ in range(subscriptions):
                await connection.execute(_SUBSCRIBE, place.account_id, connection_id)
            made.append(connection_id)
    finally:
        await connection.close()
    return made


async def _fill(place: Place, connections: Sequence[int], each: int) -> None:
    """Deliveries for each connection, about parcels of their own; their turn has not come yet."""
    connection = await place.database.connect()
    try:
        await connection.execute(_MESSAGES, place.account_id, len(connections) * each, BODY)
        await connection.execute(_DELIVERIES, place.account_id, list(connections))
        for table in ("message", "delivery", "delivery_lane"):
            await connection.execute(f"ANALYZE {table}")
    finally:
        await connection.close()


async def _delivered(place: Place, count: int, needed: Sequence[int]) -> float:
    """Let all lanes have their turn; seconds until ``needed`` connections have nothing left."""
    connection = await place.database.connect()
    try:
        started = time.monotonic()
        await connection.execute(_TURNS_COME, place.account_id)
        while await connection.fetchval(_LEFT, place.account_id, list(needed)):
            await asyncio.sleep(0.02)
            if time.monotonic() - started > PATIENCE_SECONDS:
                told = ask(place.port, "/told")["count"]
                raise RuntimeError(f"{told} of {count} deliveries came")
        return time.monotonic() - started
    finally:
        await connection.close()


def _allowed(place: Place) -> dict[str, str]:
    return {"MILEPOST_EGRESS_ALLOW": f"127.0.0.1:{place.port}"}


async def _deliveries(run: Run, port: int) -> Row:
    run.say("deliveries beside a bare loop")
    place = await _place(run, "delivering", port)
    connections = await _connect(place, [f"/hook/{nth}" for nth in range(CONNECTIONS)])
    each = run.scale.deliveries // CONNECTIONS
    count = each * CONNECTIONS
    ours, bare, cpu, postgres, bare_cpu = [], [], [], [], []
    async with worker_process(place.database, _allowed(place)) as worker:
        for _ in range(run.scale.pairs):
            await _fill(place, connections, each)
            before = cpu_seconds(worker), cpu_seconds(run.house.postgres)
            ours.append(await _delivered(place, count, connections) / count)
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
    return Row("deliveries, of a bare loop of POSTs", paired(bare, ours), 0.35, told=told)


async def _bare(port: int, count: int) -> dict[str, float]:
    words = ("bench.posting", *map(str, (port, count, CONNECTIONS * AT_ONCE, len(BODY))))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    spent: dict[str, float] = orjson.loads(said)
    return spent


async def _one_dead(run: Run, port: int) -> Row:
    """The same connections, all alive and with one that never answers, in turns."""
    many = run.scale.connections
    run.say(f"one dead among {many:,} connections")
    alive: list[float] = []
    beside: list[float] = []
    for turn in range(2):
        for path, seconds in (("/hook", alive), ("/hang", beside)):
            place = await _place(run, f"many_{path[1:]}_{turn}", port)
            paths = [path, *(f"/hook/{nth}" for nth in range(1, many))]
            connections = await _connect(place, paths)
            await _fill(place, connections, run.scale.each)
            async with worker_process(place.database, _allowed(place)):
                await asyncio.sleep(1)
                count = (many - 1) * run.scale.each
                seconds.append(await _delivered(place, count, connections[1:]))
    told = f"{many * run.scale.each / median(alive):,.0f}/s without it"
    return Row("deliveries to others beside a dead one", paired(alive, beside), 0.95, told=told)


async def _subscribed(run: Run, port: int) -> list[Row]:
    """Records and fan-out of an account with five subscriptions, and with none, in turns."""
    run.say("recording and fan-out for five subscriptions")
    count = run.scale.records // 4
    costs: dict[int, list[float]] = {0: [], SUBSCRIPTIONS: []}
    spread, inserts = [], []
    for turn in range(2):
        for wanted, cost in costs.items():
            place = await _place(run, f"subscribed_{wanted}_{turn}", port)
            await place.database.login("dhl")
            template = await make_template(place.database, place.account_id, SCANS)
            await copy(place.database, Copies(place.account_id, template, count))
            await _connect(place, [f"/hook/{nth}" for nth in range(wanted)])
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
    """From the commit of a record to its first byte at the subscriber, all else being quiet."""
    run.say("the way of a single event")
    place = await _place(run, "way", port)
    await place.database.login("dhl")
    template = await make_template(place.database, place.account_id, SCANS)
    count = run.scale.events + 1
    await copy(place.database, Copies(place.account_id, template, count, due="'infinity'"))
    await _connect(place, ["/hook"])
    due = WatchPlan(1, 3600.0, 0, "00")
    ways = []
    async with (
        worker_process(place.database, _allowed(place)),
        wiring.core_parts(place.database.settings, "milepost_worker") as core,
    ):
        ask(port, "/count")
        for parcel_id in range(template + 1, template + 1 + count):
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
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        await asyncio.sleep(0.02)
        for name, at in ask(port, "/told")["at"].items():
            if int(name) // EVENT_ID_STRIDE == parcel_id:
                return float(at - since)
    raise RuntimeError("an event did not come")


_CONNECTION_ID = "SELECT nextval('connection_connection_id_seq')"
_CONNECT = """
INSERT INTO connection (account_id, connection_id, kind, form, url, signing_key)
VALUES ($1, $2, 'webhook', 'sendcloud_v3', $3, $4)
"""
_LANE = "INSERT INTO delivery_lane (account_id, connection_id) VALUES ($1, $2)"
_SUBSCRIBE = """
INSERT INTO subscription (account_id, connection_id, event_type)
VALUES ($1, $2, 'parcels.event.created')
"""
_MESSAGES = """
INSERT INTO message (account_id, parcel_id, sequence, event_id, action, form, body)
SELECT $1, n, 1, 'event-' || n, 'parcels.event.created', 'sendcloud_v3', $3
FROM generate_series(1, $2) AS n
"""
_DELIVERIES = """
INSERT INTO delivery (account_id, connection_id, message_id, parcel_id, due_at)
SELECT $1, ($2::bigint[])[1 + m.parcel_id % cardinality($2::bigint[])], m.message_id, m.parcel_id,
       now()
FROM message m WHERE m.account_id = $1
  AND NOT EXISTS (SELECT FROM delivery d WHERE d.account_id = $1 AND d.message_id = m.message_id)
"""
_TURNS_COME = "UPDATE delivery_lane SET turn_at = now() WHERE account_id = $1"
_LEFT = """
SELECT EXISTS (SELECT FROM delivery
               WHERE account_id = $1 AND state = 'pending' AND connection_id = ANY ($2::bigint[]))
"""
_INSERT = """
INSERT INTO message (account_id, parcel_id, event_id, action, form, body)
VALUES ($1, $2, 'x', 'x', 'x', $3)
"""
