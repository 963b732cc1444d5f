"""Full checks a second beside a bare loop that only fetches, and a worker's memory.

The worker is the real one: it claims, asks, parses and writes down. One answer in ten has news.
"""

import asyncio
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson

from bench.carrier import NEWS_IN
from bench.clones import Copies, copy, registered
from bench.cpu import cpu_seconds, peak_megabytes
from bench.house import Database, answering, command, running
from bench.rows import Row, paired
from bench.run import Run
from milepost import wiring

CARRIER = "sandbox"
"""The one carrier without a quota, which would be all that is measured; its host leads to us."""
LANES = 8
AT_ONCE = 4
"""Questions to one host at a time, the fetcher's own bound."""
PATIENCE_SECONDS = 60.0
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
        return [await _checks(run, watched), await _memory(run, watched)]


async def _checks(run: Run, watched: Watched) -> Row:
    run.say("full checks beside a bare loop")
    count = run.scale.checks // LANES * LANES
    checks, fetches, cpu, bare = [], [], [], []
    for turn in range(run.scale.pairs):
        await _fill(watched, LANES, count // LANES, turn)
        _ask(watched.port, "/count")
        async with _worker(watched.database) as worker:
            checks.append(await _all_asked(watched.port, count) / count)
            cpu.append(cpu_seconds(worker) / count)
        spent = await _bare_loop(watched.port, count)
        fetches.append(spent["seconds"])
        bare.append(spent["cpu"])
    told = (
        f"{1 / median(checks):,.0f}/s, bare {1 / median(fetches):,.0f}/s, news in 1 of {NEWS_IN}; "
        f"{1e6 * median(cpu):.0f} us of the worker's CPU with its start, "
        f"bare {1e6 * median(bare):.0f}"
    )
    return Row("full checks, of a bare loop's speed", paired(fetches, checks), 0.35, told=told)


async def _memory(run: Run, watched: Watched) -> Row:
    """A carrier so slow that everything the worker takes is in its hands at once."""
    wanted = run.scale.in_flight
    run.say(f"a worker's memory with {wanted:,} checks in flight")
    await _fill(watched, -(-wanted // 50) * 2, 50, run.scale.pairs)
    _ask(watched.port, f"/slow/{_ASKED_SECONDS}")
    connection = await watched.database.connect()
    try:
        async with _worker(watched.database) as worker:
            most, ends = 0, time.monotonic() + 3 * _ASKED_SECONDS
            while time.monotonic() < ends:
                most = max(most, await connection.fetchval(_IN_FLIGHT))
                await asyncio.sleep(0.2)
            memory = peak_megabytes(answering(worker))
    finally:
        await connection.close()
        _ask(watched.port, "/slow/0")
    told = f"{most:,} in flight, the most it takes"
    return Row("memory of a worker with its checks in flight", memory, 250, "MB", True, told)


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
    async with _worker(database):
        await _all_asked(port, 1)
        await asyncio.sleep(1)
    return Watched(database, merchant.account_id, template, port)


async def _fill(watched: Watched, lanes: int, each: int, turn: int) -> None:
    """So many due parcels in each of so many new accounts."""
    for lane in range(lanes):
        merchant = await watched.database.merchant(f"merchant {turn} {lane}")
        copies = Copies(
            watched.account_id,
            watched.template,
            each,
            first=1 + (turn * 100 + lane) * 10_000,
            carrier_code=CARRIER,
            owner=merchant.account_id,
            events=100,
            due="now()",
        )
        await copy(watched.database, copies)


async def _all_asked(port: int, count: int) -> float:
    """Seconds between the first question and the one that completes ``count``."""
    asked, seconds, ends = 0, 0.0, time.monotonic() + PATIENCE_SECONDS
    while asked < count:
        if time.monotonic() > ends:
            raise RuntimeError(f"the worker asked {asked} of {count} questions")
        await asyncio.sleep(0.05)
        told = _ask(port, "/told")
        asked, seconds = told["asked"], told["seconds"]
    return seconds


async def _bare_loop(port: int, count: int) -> dict[str, float]:
    words = ("bench.fetching", str(port), str(count), str(AT_ONCE))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *words, stdout=subprocess.PIPE
    )
    said, _ = await process.communicate()
    spent: dict[str, float] = orjson.loads(said)
    return spent


@asynccontextmanager
async def _worker(database: Database) -> AsyncIterator[int]:
    """A real worker until the end of the block; its parent's pid."""
    process = subprocess.Popen(
        command("worker"), env=database.environment, stdout=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 40)
        finally:
            process.kill()


def _ask(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
        return orjson.loads(answer.read())
