"""P1: whatever dies, nothing acknowledged is lost and nothing happens twice.

Eight clients register parcels, a carrier tells of them bit by bit, and parts of the installation
are killed: at random, and at each named point. ``CHAOS_KILLS=200`` is the long form,
``CHAOS_SEED`` repeats a sequence of kills. In the long form answers must be quick again soon after
the last of them, which wants a machine that does nothing else. The points ``migrate.mid`` and
``import.before_verdicts`` have runs of their own: ``tests/upgrade``, ``tests/cli/test_import.py``.
"""

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from bench.ports import free_port
from tests.chaos.clients import Load
from tests.chaos.deliveries import MOST_EXTRA, extra_deliveries, heard
from tests.chaos.fast import Run, running_fast
from tests.chaos.housekeeping import die_in_housekeeping
from tests.chaos.ledger import lines, operations
from tests.chaos.supervisor import Supervisor
from tests.promises.figures import keep

from milepost.failpoints import died_at

KILLS = int(os.environ.get("CHAOS_KILLS", "50"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or int(time.time())
SUBSCRIBED = int(os.environ.get("CHAOS_SUBSCRIBED", "2"))
LONG = 200
DEATHS = max(1, KILLS // 50)
"""At each named point."""
WARM_SECONDS = 4.0
CALM_SECONDS = 6.0
RECOVERY_SECONDS = 60.0
DRAIN_SECONDS = 240.0
RATE_SECONDS = 3.0
QUICK_SECONDS, SLOWER = 10.0, 2.0
"""How soon after the last kill p99 is at most so many times what it was before the first."""
PAUSE = (0.1, 0.6)
LEASE = 2.0
RECOVERED = 0.4
"""Of the throughput before the first kill, at least; loose, for other work shares the machine."""
POINTS: Mapping[str, tuple[str, int]] = {
    "api.after_validate": ("api", 5),
    "api.before_commit": ("api", 5),
    "api.after_commit_before_reply": ("api", 5),
    "poll.after_lease": ("worker", 3),
    "poll.after_http": ("worker", 3),
    "poll.after_parse": ("worker", 3),
    "poll.before_commit": ("worker", 3),
    "poll.after_commit": ("worker", 3),
    "lease.renew": ("worker", 1),
    "fanout.mid_batch": ("worker", 3),
    "deliver.after_lease": ("worker", 3),
    "deliver.after_send_before_record": ("worker", 3),
    "deliver.mid_record": ("worker", 3),
}
"""Which command gets there, and which pass is its last."""
AT_ONCE = 7
DEATH_SECONDS, DEATH_WORK = 120, 500
pytestmark = [pytest.mark.promise, pytest.mark.slow]


@pytest.mark.timeout(900 + 8 * KILLS)
async def test_nothing_acknowledged_is_lost_whatever_dies() -> None:
    async with running_fast(
        LEASE, slow_every=60, slow_seconds=1.2 * LEASE, subscribed=SUBSCRIBED
    ) as run:
        await asyncio.sleep(WARM_SECONDS)
        warm, p99_warm = rate(run.load), p99(run.load)
        phases = [time.monotonic()]
        supervisor = Supervisor(run.house, SEED)
        await supervisor.run(KILLS, PAUSE)
        phases.append(time.monotonic())
        deaths: dict[str, int] = {}
        for first in range(0, len(POINTS), AT_ONCE):
            deaths |= await die_at(run, list(POINTS)[first : first + AT_ONCE])
        last_kill = time.monotonic()
        phases.append(last_kill)
        quick = await quick_again(run.load, SLOWER * p99_warm) if KILLS >= LONG else 0.0
        await asyncio.sleep(max(0.0, CALM_SECONDS - quick))
        recovered = await recovery(run.load, RECOVERED * warm)
        await run.pause()
        deaths |= await die_in_housekeeping(run.house, DEATHS)
        wrong = await run.finish(DRAIN_SECONDS)
        figures = (
            told(run, last_kill)
            | {
                "kills": dict(supervisor.kills),
                "deaths_at_points": deaths,
                "seconds_of_kills_and_of_deaths_at_points": [
                    round(end - start, 1) for start, end in pairwise(phases)
                ],
                "p99_ms_before": round(1000 * p99_warm),
                "quick_again_after_seconds": round(quick, 1) if KILLS >= LONG else None,
                "rate_before": warm,
                "rate_after": recovered,
            }
            | arrived(run)
        )
        keep("P1 kill loop", **figures)
        assert wrong == [], [*wrong[:8], figures]
        extra = extra_deliveries(run.subscribers.ledger.path)
        assert extra <= MOST_EXTRA * (KILLS + sum(deaths.values())), figures
    assert run.house.process is not None
    assert run.house.process.returncode == 0, "after all that it still stops in order"
    assert all(count >= DEATHS for count in deaths.values()), deaths
    assert recovered >= RECOVERED * warm, figures
    assert quick <= QUICK_SECONDS, figures


async def die_at(run: Run, points: Sequence[str]) -> dict[str, int]:
    """Have one more API or worker die at each of these; how often each did, by its own last word.

    Each is ended when it has died often enough, for its parent would start it again and again.
    """
    once = {"MILEPOST_API_PROCESSES": "1", "MILEPOST_WORKER_PROCESSES": "1"}
    log, said_before = run.house.log, run.house.log.stat().st_size
    patience = Patience(run)
    waited: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
    for point in points:
        command, nth = POINTS[point]
        port = free_port()
        started = run.house.spawn(command, port, MILEPOST_FAILPOINT=f"{point}:{nth}", **once)
        waited[point] = started, port if command == "api" else 0
    died = dict.fromkeys(points, 0)
    while waited and not patience.is_over():
        said = log.read_bytes()[said_before:]
        died = {point: said.count(died_at(point).encode()) for point in points}
        for point in [one for one in waited if died[one] >= DEATHS]:
            run.house.kill(waited.pop(point)[0])
        listening = [port for _, port in waited.values() if port and takes_connections(port)]
        run.load.ports[:] = [run.house.port, *listening]
        await asyncio.sleep(0.1)
    run.load.ports[:] = [run.house.port]
    for started, _ in waited.values():
        run.house.kill(started)
    return died


class Patience:
    """How long somebody is waited for: for seconds, and for work he could have died at.

    On a busy machine the seconds alone say nothing.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._end = time.monotonic() + DEATH_SECONDS
        self._before = self._done()

    def is_over(self) -> bool:
        if time.monotonic() < self._end:
            return False
        done = [now - before for now, before in zip(self._done(), self._before, strict=True)]
        return min(done) > DEATH_WORK

    def _done(self) -> tuple[int, ...]:
        """Registrations, questions to the carrier, and requests to subscribers."""
        load = self._run.load
        told = sum(1 for _ in lines(self._run.subscribers.ledger.path))
        return len(load.acknowledged), load.carrier.times_asked.total(), told


def takes_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def quick_again(load: Load, wanted: float) -> float:
    """After how many seconds p99 was what is wanted; looks for a minute at most."""
    began = time.monotonic()
    await asyncio.sleep(RATE_SECONDS)
    while p99(load) > wanted and time.monotonic() < began + RECOVERY_SECONDS:
        await asyncio.sleep(0.2)
    return time.monotonic() - began


async def recovery(load: Load, wanted: float) -> float:
    """The throughput, as soon as it is what is wanted; waits for a minute."""
    end = time.monotonic() + RECOVERY_SECONDS
    while (now := rate(load)) < wanted and time.monotonic() < end:
        await asyncio.sleep(0.5)
    return now


def p99(load: Load) -> float:
    """Seconds that all but a hundredth of the registrations took at most, lately."""
    now = time.monotonic()
    took = sorted(took for at, took in load.acknowledged if at > now - RATE_SECONDS)
    return took[int(len(took) * 0.99)] if took else float("inf")


def rate(load: Load) -> float:
    """Acknowledged registrations a second, lately."""
    now = time.monotonic()
    return sum(at > now - RATE_SECONDS for at, _ in load.acknowledged) / RATE_SECONDS


def arrived(run: Run) -> dict[str, object]:
    """What the subscribers say about a run."""
    path = run.subscribers.ledger.path
    got = heard(path)
    return {
        "subscribers": len(run.subscribers.names),
        "deliveries": sum(len(one.taken) for one in got.values()),
        "requests_to_subscribers": sum(1 for _ in lines(path)),
        "extra_deliveries": extra_deliveries(path),
    }


def told(run: Run, last_kill: float) -> dict[str, object]:
    """What the ledgers and the clock say about a run."""
    seen = operations(run.load.ledger.path).values()
    after = sorted(took for at, took in run.load.acknowledged if at - took > last_kill)
    return {
        "seed": SEED,
        "acknowledged": sum(bool(one.answers) for one in seen),
        "unknown_outcomes": sum(one.unknown for one in seen),
        "watched_parcels": run.load.watched,
        "questions_to_the_carrier": run.load.carrier.times_asked.total(),
        "drain_seconds": round(run.drain_seconds, 1),
        "p99_ms_after_the_last_kill": round(1000 * after[int(len(after) * 0.99)])
        if after
        else None,
        "violations": len(run.wrong),
    }
