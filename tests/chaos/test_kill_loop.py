"""P1 in small: whatever dies, nothing acknowledged is lost and nothing happens twice.

Eight clients register parcels, a carrier tells of them bit by bit, and parts of the installation
are killed: at random, and at each named point. ``CHAOS_KILLS=200`` is the long form,
``CHAOS_SEED`` repeats a sequence of kills.
"""

import asyncio
import itertools
import os
import socket
import time

import pytest
from tests.chaos.clients import Load
from tests.chaos.fast import Run, running_fast
from tests.chaos.installation import Installation
from tests.chaos.ledger import operations
from tests.chaos.supervisor import Supervisor
from tests.live_server import free_port
from tests.promises.figures import keep

KILLS = int(os.environ.get("CHAOS_KILLS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or int(time.time())
DEATHS = max(1, KILLS // 50)
"""At each named point."""
WARM_SECONDS = 4.0
CALM_SECONDS = 6.0
RATE_SECONDS = 3.0
PAUSE = (0.6, 1.4)
LEASE = 2.0
RECOVERED = 0.4
"""Of the throughput before the first kill, at least; loose, for other work shares the machine."""
API_POINTS = ("api.after_validate", "api.before_commit", "api.after_commit_before_reply")
POLL_POINTS = (
    "poll.after_lease",
    "poll.after_http",
    "poll.after_parse",
    "poll.before_commit",
    "poll.after_commit",
)
pytestmark = [pytest.mark.promise, pytest.mark.slow]


@pytest.mark.timeout(200 + 6 * KILLS)
async def test_nothing_acknowledged_is_lost_whatever_dies() -> None:
    async with running_fast(LEASE, slow_every=60, slow_seconds=1.2 * LEASE) as run:
        await asyncio.sleep(WARM_SECONDS)
        warm = rate(run.load)
        supervisor = Supervisor(run.house, SEED)
        await supervisor.run(KILLS, PAUSE)
        deaths: dict[str, int] = {}
        for api, poll in itertools.zip_longest(API_POINTS, POLL_POINTS):
            deaths |= await die_at(run.house, run.load, api, poll)
        last_kill = time.monotonic()
        await asyncio.sleep(CALM_SECONDS)
        recovered = rate(run.load)
        wrong = await run.finish()
        figures = told(run, last_kill) | {
            "kills": dict(supervisor.kills),
            "deaths_at_points": deaths,
            "rate_before": warm,
            "rate_after": recovered,
        }
        keep("P1 kill loop", **figures)
        assert wrong == [], figures
    assert run.house.process is not None
    assert run.house.process.returncode == 0, "after all that it still stops in order"
    assert all(count >= DEATHS for count in deaths.values()), deaths
    assert recovered >= RECOVERED * warm, figures


async def die_at(
    house: Installation, load: Load, api_point: str | None, poll_point: str
) -> dict[str, int]:
    """Have one more API and one more worker die at these points; how often each did."""
    once = {"MILEPOST_API_PROCESSES": "1", "MILEPOST_WORKER_PROCESSES": "1"}
    port = free_port()
    wanted = {poll_point: house.spawn("worker", 0, MILEPOST_FAILPOINT=f"{poll_point}:3", **once)}
    if api_point:
        dying = f"{api_point}:20"
        wanted[api_point] = house.spawn("api", port, MILEPOST_FAILPOINT=dying, **once)
    seen: dict[str, set[int]] = {point: set() for point in wanted}
    died = dict.fromkeys(seen, 0)
    give_up = time.monotonic() + 60
    while min(died.values()) < DEATHS and time.monotonic() < give_up:
        if api_point and port not in load.ports and takes_connections(port):
            load.ports.append(port)
        for point, started in wanted.items():
            alive = {one.pid for one in house.serving(started)}
            seen[point] |= alive
            died[point] = len(seen[point] - alive)
        await asyncio.sleep(0.05)
    load.ports[:] = [house.port]
    for started in wanted.values():
        house.kill(started)
    return died


def takes_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def rate(load: Load) -> float:
    """Acknowledged registrations a second, lately."""
    now = time.monotonic()
    return sum(at > now - RATE_SECONDS for at, _ in load.acknowledged) / RATE_SECONDS


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
