"""The worker: takes the lanes whose turn it is, until it is told to stop."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import structlog

from milepost import tracing
from milepost.errors import DatabaseUnavailable, MilepostError
from milepost.monitoring.claim import Lane, due_lanes
from milepost.monitoring.suspended import Suspended
from milepost.monitoring.sweep import EVERY, sweep_in_turn
from milepost.notifications import forget as told
from milepost.notifications.giving_up import give_up_the_rest
from milepost.notifications.suspending import heed
from milepost.parcels import look_through
from milepost.parcels.raw_payloads import make_months
from milepost.settings import Settings
from milepost.wiring import WorkerParts, worker_parts
from milepost.worker import intake, notifying, retention

LANES_AT_ONCE = 24
"""Of 50 parcels each at most: 1,200 in hand."""
IDLE_SECONDS = 0.5
DEADLINE_SECONDS = 5
MONTHS_SECONDS = 3600
FEEDS_SECONDS = 60
COUNTS_SECONDS = 60
GIVING_UP_SECONDS = 5
SUSPENDING_SECONDS = 5
KNOWING_LOOKS = 60
"""So many looks for suspensions that are lifted go by what was known; the next is at all lanes that
are shut: a worker that is gone may have shut some for a suspension which no other has seen."""

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set, then finish what is under way and return."""
    async with worker_parts(settings) as parts:
        loops = [
            asyncio.create_task(_watch(parts, stop)),
            asyncio.create_task(_every(COUNTS_SECONDS, lambda: _keep_counts(parts), stop)),
            asyncio.create_task(_wake(parts, stop)),
            asyncio.create_task(_feed_files(parts, settings.drop_look_seconds, stop)),
            asyncio.create_task(intake.take_turns(parts.intake, stop, _survived, _pause)),
            asyncio.create_task(
                notifying.tell(parts.telling, parts.fan_out, parts.deliverer, stop, _survived)
            ),
            asyncio.create_task(
                _every(GIVING_UP_SECONDS, lambda: _until(stop, _give_up_the_rest(parts)), stop)
            ),
            asyncio.create_task(_heed_suspensions(parts, stop)),
            asyncio.create_task(_every(FEEDS_SECONDS, parts.intake.plan_feeds_in_turn, stop)),
            asyncio.create_task(
                _every(MONTHS_SECONDS, lambda: _until(stop, _look_ahead(parts)), stop)
            ),
            asyncio.create_task(_every(EVERY.total_seconds(), lambda: _sweep(parts), stop)),
            asyncio.create_task(
                _every(
                    look_through.EVERY.total_seconds(),
                    lambda: _until(stop, look_through.look_through_in_turn(parts.pool)),
                    stop,
                )
            ),
            asyncio.create_task(
                _every(
                    retention.EVERY.total_seconds(),
                    lambda: retention.retain_in_turn(parts.pool, settings, stop),
                    stop,
                )
            ),
        ]
        await asyncio.gather(*loops)
        with _survived("counts could not be kept"):
            await _keep_counts(parts)


async def _watch(parts: WorkerParts, stop: asyncio.Event) -> None:
    """Check due lanes, each in its own task; a lane is in hand once per process."""
    in_hand: dict[Lane, asyncio.Task[None]] = {}
    suspended = Suspended(parts.pool)
    while not stop.is_set():
        started = 0
        with _survived("lanes could not be read"):
            due = await due_lanes(parts.pool, LANES_AT_ONCE * 2)
            for lane in await suspended.left_out(due):
                if lane not in in_hand and len(in_hand) < LANES_AT_ONCE:
                    task = asyncio.create_task(_check(parts, lane))
                    in_hand[lane] = task
                    task.add_done_callback(partial(_put_down, in_hand, lane))
                    started += 1
        await _pause(IDLE_SECONDS if not started else 0.02, stop)
    await asyncio.gather(*in_hand.values(), return_exceptions=True)


async def _wake(parts: WorkerParts, stop: asyncio.Event) -> None:
    """Wake parcels at their deadlines, one lane after the other: a minute's delay is no harm."""
    while not stop.is_set():
        woken = 0
        with _survived("deadlines could not be looked after"):
            for lane in await parts.deadlines.due(LANES_AT_ONCE):
                if not stop.is_set():
                    woken += await parts.deadlines.wake(lane)
        await _pause(0.05 if woken else DEADLINE_SECONDS, stop)


async def _feed_files(parts: WorkerParts, seconds: float, stop: asyncio.Event) -> None:
    """What was laid into the drop folder, if there is one; a file may be left in its middle."""
    rounds = parts.drop_rounds
    if rounds is not None:
        await _every(seconds, lambda: _until(stop, rounds.look()), stop)


async def _heed_suspensions(parts: WorkerParts, stop: asyncio.Event) -> None:
    known: frozenset[int] | None = None
    looks = 0

    async def look() -> None:
        nonlocal known, looks
        # Nothing is known after a look that failed: it may have shut some lanes.
        before, known = known, None
        known = await heed(parts.pool, before if looks < KNOWING_LOOKS else None)
        looks = looks + 1 if looks < KNOWING_LOOKS else 0

    await _every(SUSPENDING_SECONDS, look, stop)


async def _look_ahead(parts: WorkerParts) -> None:
    await make_months(parts.pool)
    await told.make_months(parts.pool)
    await parts.deadlines.plan_old()


async def _give_up_the_rest(parts: WorkerParts) -> None:
    await give_up_the_rest(parts.pool)


def _put_down(in_hand: dict[Lane, asyncio.Task[None]], lane: Lane, _: asyncio.Task[None]) -> None:
    in_hand.pop(lane, None)


async def _check(parts: WorkerParts, lane: Lane) -> None:
    with _survived("lane could not be checked"):
        try:
            with tracing.span("check lane", **{"milepost.carrier": lane.carrier_code}):
                await parts.checker.check(lane)
        except DatabaseUnavailable:
            raise
        except Exception:
            # It would stay at the head of the queue, and enough of its kind in everybody's way.
            await parts.checker.rest(lane)
            raise


async def _keep_counts(parts: WorkerParts) -> None:
    """What was counted of carriers: codes and fields nobody knows, and how asking them went."""
    await parts.unmapped.keep(parts.pool)
    await parts.checker.drifts.keep()
    await parts.checker.hours.keep(parts.pool)


async def _sweep(parts: WorkerParts) -> None:
    await sweep_in_turn(parts.pool, parts.catalogue, parts.credentials)


async def _every(seconds: float, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        with _survived("a regular task failed"):
            await work()
        await _pause(seconds, stop)


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Work that can be given up anywhere, and taken up there: after an upgrade it takes long."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


@contextlib.contextmanager
def _survived(what: str) -> Iterator[None]:
    """One failed round must not end the loop: it is logged, and leases bring the work back."""
    try:
        yield
    except MilepostError as trouble:
        log.warning(what, error=str(trouble))
    except Exception:
        # The loop outlives any one parcel's fault.
        log.exception(what)
