"""Full checks a second beside a bare loop that only fetches, and a worker's memory.

The worker is the real one: it claims, asks, parses and writes down. One answer in ten has news.
It is up and idle before it is measured, and measured until the last answer is written down.
"""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson

from bench.carrier import NEWS_IN
from bench.clones import Copies, copy, registered
from bench.cpu import cpu_seconds, peak_megabytes
from bench.house import READY_SECONDS, Database, answering, command, running, stop
from bench.rows import Row, paired
from bench.run import Run
from milepost import wiring
from milepost.carriers.fetcher import PER_HOST

CARRIER = "sandbox"
"""The one carrier without a quota, which would be all that is measured; its host leads to us."""
LANES = 8
PATIENCE_SECONDS = 180.0
_HOST = "sandbox.milepost.invalid"
_ASKED_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Watched:
    """A database whose parcels are asked about at our own carrier."""

    database: Database
    account_id: int
    template: int
    port: int


async def rows(run: Run) -> list[Row]:
    """Checks beside fetches, then the worker with everything in hand."""
    with running([sys.executable, "-m", "bench.carrier"], {}) as carrier:
        watched = await _watched(run, carrier.port)
        return await run.each(
            {
                "full checks": lambda: _checks(run, watched),
                "memory of a worker": lambda: _memory(run, watched),
            }
        )


async def _checks(run: Run, watched: Watched) -> list[Row]:
    run.say("full checks beside a bare loop")
    count = run.scale.checks // LANES * LANES
    checks, fetches, cpu, postgres, bare = [], [], [], [], []
    for turn in range(run.scale.pairs):
        await _fill(watched, LANES, count // LANES, turn)
        async with worker_process(watched.database) as worker:
            await _asked_about_template(watched)
            before = cpu_seconds(worker), cpu_seconds(run.house.postgres)
            checks.append(await _all_recorded(watched, count) / count)
            cpu.append((cpu_seconds(worker) - before[0]) / count)
            postgres.append((cpu_seconds(run.house.postgres) - before[1]) / count)
        spent = await _bare_loop(watched.port, count)
        fetches.append(spent["seconds"])
        bare.append(spent["cpu"])
    told = (
        f"{1 / median(checks):,.0f}/s, bare {1 / median(fetches):,.0f}/s, news in 1 of {NEWS_IN}; "
        f"{1e6 * median(cpu):.0f} us of the worker's CPU and {1e6 * median(postgres):.0f} of "
        f"PostgreSQL's, bare {1e6 * median(bare):.0f}"
    )
    return [Row("full checks, of a bare loop's speed", paired(fetches, checks), 0.35, told=told)]


async def _memory(run: Run, watched: Watched) -> list[Row]:
    """A carrier so slow that everything the worker takes is in its hands at once."""
    wanted = run.scale.in_flight
    run.say(f"a worker's memory with {wanted:,} checks in flight")
    await _fill(watched, -(-wanted // 50) * 2, 50, run.scale.pairs)
    ask(watched.port, f"/slow/{_ASKED_SECONDS}")
    connection = await watched.database.connect()
    try:
        async with worker_process(watched.database) as worker:
            await connection.execute(_TURNS_COME, watched.account_id)
            most, ends = 0, time.monotonic() + 3 * _ASKED_SECONDS
            while time.monotonic() < ends:
                most = max(most, await connection.fetchval(_IN_FLIGHT))
                await asyncio.sleep(0.2)
            memory = peak_megabytes(answering(worker))
            ask(watched.port, "/slow/0")
    finally:
        await connection.close()
        ask(watched.port, "/slow/0")
    told = f"{most:,} in flight, the most it takes"
    return [Row("memory of a worker with its checks in flight", memory, 250, "MB", True, told)]


_IN_FLIGHT = "SELECT count(*) FROM watch WHERE lease_until > now()"


async def _watched(run: Run, port: int) -> Watched:
    """A parcel that the real worker has asked about once: what its copies hear is known to them."""
    database = await run.house.database("watched")
    merchant = await database.merchant("merchant")
    connection = await database.connect()
    try:
        route = f"http://127.0.0.1:{port}"
        await connection.execute("INSERT INTO host_route VALUES ($1, $2)", _HOST, route)
    finally:
        await connection.close()
    async with wiring.core_parts(database.settings, "milepost_worker") as core:
        wanted = registered("0" * 9, CARRIER)
        await core.registrar.register(merchant.account_id, wanted)
        template = await core.reader.parcel_id(merchant.account_id, wanted.tracking_number)
        assert template is not None
    watched = Watched(database, merchant.account_id, template, port)
    async with worker_process(database):
        await _asked_about_template(watched)
    return watched


async def _fill(watched: Watched, lanes: int, each: int, turn: int) -> None:
    """So many due parcels in each of so many new accounts whose turn has not come yet.

    Those of earlier turns are asked no more: the sandbox's parcels are due again after seconds.
    """
    merchants = [
        await watched.database.merchant(f"merchant {turn} {lane}") for lane in range(lanes)
    ]
    connection = await watched.database.connect()
    try:
        await connection.execute(_ALL_AT_REST, watched.template)
        copies = [
            Copies(
                watched.account_id,
                watched.template,
                each,
                first=1 + (turn * 100 + lane) * 10_000,
                carrier_code=CARRIER,
                owner=merchant.account_id,
                events=100,
                due="now()",
            )
            for lane, merchant in enumerate(merchants)
        ]
        await copy(watched.database, *copies)
        await connection.execute(_NO_TURN, [merchant.account_id for merchant in merchants])
    finally:
        await connection.close()


_ALL_AT_REST = "UPDATE watch SET due_at = 'infinity' WHERE parcel_id <> $1"
_NO_TURN = "UPDATE lane SET turn_at = 'infinity' WHERE account_id = ANY ($1)"
_TURNS_COME = "UPDATE lane SET turn_at = now() WHERE turn_at = 'infinity' AND account_id <> $1"
_UNRECORDED = """
SELECT count(*) FROM watch WHERE due_at < 'infinity' AND last_checked_at < $1 AND parcel_id <> $2
"""


async def _asked_about_template(watched: Watched) -> None:
    """Return when the worker is up: it has written down what it heard about the template."""
    connection = await watched.database.connect()
    try:
        heard = "SELECT last_checked_at > $1 FROM watch WHERE parcel_id = $2"
        started, ends = await connection.fetchval("SELECT now()"), time.monotonic() + READY_SECONDS
        while not await connection.fetchval(heard, started, watched.template):
            if time.monotonic() > ends:
                raise RuntimeError("the worker does not ask")
            await asyncio.sleep(0.1)
    finally:
        await connection.close()


async def _all_recorded(watched: Watched, count: int) -> float:
    """Let all lanes have their turn; the seconds until every answer is written down."""
    connection = await watched.database.connect()
    try:
        ask(watched.port, "/count")
        at = await connection.fetchval("SELECT now()")
        started = time.monotonic()
        await connection.execute(_TURNS_COME, watched.account_id)
        while True:
            await asyncio.sleep(0.05)
            seconds = time.monotonic() - started
            asked = ask(watched.port, "/told")["asked"]
            if asked >= count and not await connection.fetchval(_UNRECORDED, at, watched.template):
                return seconds
            if seconds > PATIENCE_SECONDS:
                raise RuntimeError(f"the worker asked {asked} of {count} questions")
    finally:
        await connection.close()


async def _bare_loop(port: int, count: int) -> dict[str, float]:
    words = ("bench.fetching", str(port), str(count), str(PER_HOST))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    spent: dict[str, float] = orjson.loads(said)
    return spent


@asynccontextmanager
async def worker_process(
    database: Database, more: Mapping[str, str] | None = None
) -> AsyncIterator[int]:
    """A real worker until the end of the block, with ``more`` settings; its parent's pid."""
    process = subprocess.Popen(
        command("worker"), env=database.environment | dict(more or {}), stdout=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        await asyncio.to_thread(stop, process)


def ask(port: int, path: str) -> Any:
    """What a server of ours on loopback says there."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return orjson.loads(answer.read())
