"""Retention: what is past its time goes, by one worker at a time, in small pieces with pauses.

Every piece is a transaction of its own, so it may be stopped or killed at any point and goes on
from there the next time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from milepost import failpoints, metrics
from milepost.accounts import idempotency, tokens
from milepost.db.jobs import Turn, only_one
from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.intake import inbox
from milepost.notifications import forget as told
from milepost.notifications import integrations
from milepost.parcels import retention as parcels
from milepost.parcels.raw_payloads import drop_months
from milepost.settings import Settings

EVERY = timedelta(hours=1)
LEASE_SECONDS = 300
KEEP_SECONDS = 30
BATCH = 200
PAUSE_SECONDS = 0.05
"""After each piece that held anything, so that others get at the database."""

Forget = Callable[[Pool, int, datetime, int], Awaitable[int]]
FORGET: Mapping[str, Forget] = {
    "parcels": parcels.forget_parcels,
    "timings": parcels.forget_timings,
    "audit": parcels.forget_audit,
}
FORGET_TOLD: Mapping[str, Forget] = {"pushes": inbox.forget}
"""Of accounts that were told something, whether they ever registered a parcel or not."""


async def retain_in_turn(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """``retain``, by one worker at a time and no oftener than it is due."""
    every = EVERY.total_seconds() * 0.9
    async with only_one(pool, "retention", LEASE_SECONDS, every=every) as turn:
        if turn is not None:
            turn.outcome = await retain(pool, settings, Pace(stop, turn))


def cutoffs(settings: Settings, now: datetime) -> dict[str, datetime]:
    """Before when each kind is past its time; a kind that is kept for good is left out."""
    days = {
        "parcels": settings.keep_parcels_days,
        "raw_payloads": settings.keep_raw_payloads_days,
        "pushes": settings.keep_pushes_days,
        "events": settings.keep_events_days,
        "timings": settings.keep_timings_days,
        "audit": settings.keep_audit_days,
    }
    return {kind: now - timedelta(days=kept) for kind, kept in days.items() if kept}


@dataclass(slots=True)
class Pace:
    """Between two pieces: pauses, keeps the job, and says when to stop."""

    stop: asyncio.Event
    turn: Turn | None = None
    _kept: float = field(default_factory=time.monotonic)

    async def rest(self, gone: int) -> bool:
        """True when the work is to stop here. Raises JobLost when another worker has it now."""
        if gone:
            await asyncio.sleep(PAUSE_SECONDS)
        if self.turn is not None and time.monotonic() - self._kept > KEEP_SECONDS:
            await self.turn.keep()
            self._kept = time.monotonic()
        return self.stop.is_set()


async def retain(pool: Pool, settings: Settings, pace: Pace) -> dict[str, int]:
    """Remove all that is past its time; how much of each kind."""
    limits = cutoffs(settings, datetime.now(UTC))
    gone: Counter[str] = Counter(dict.fromkeys([*limits, "answers", "tokens"], 0))
    if "raw_payloads" in limits:
        _count(gone, "raw_payloads", await drop_months(pool, limits["raw_payloads"]))
    if "events" in limits:
        _count(gone, "attempts", await told.drop_months(pool, limits["events"]))
    async for account_id in parcels.accounts(pool):
        works = {kind: _bound(FORGET[kind], limits[kind]) for kind in FORGET if kind in limits}
        works["answers"] = _answers(settings.idempotency_hours)
        works["tokens"] = _tokens
        for kind, work in works.items():
            if await _all_of(pool, account_id, kind, work, gone, pace):
                return dict(gone)
    async for account_id in inbox.accounts(pool):
        for kind in FORGET_TOLD.keys() & limits.keys():
            work = _bound(FORGET_TOLD[kind], limits[kind])
            if await _all_of(pool, account_id, kind, work, gone, pace):
                return dict(gone)
    async for account_id in told.accounts(pool):
        if "events" in limits:
            work = _bound(told.forget, limits["events"])
            if await _all_of(pool, account_id, "events", work, gone, pace):
                return dict(gone)
    async for account_id in integrations.accounts(pool):
        work = integrations.forget_deleted
        if await _all_of(pool, account_id, "integrations", work, gone, pace):
            return dict(gone)
    return dict(gone)


Work = Callable[[Pool, int], Awaitable[int]]


async def _all_of(
    pool: Pool, account_id: int, kind: str, work: Work, gone: Counter[str], pace: Pace
) -> bool:
    """Piece by piece until nothing is left; True when told to stop."""
    while True:
        removed = await work(pool, account_id)
        _count(gone, kind, removed)
        if removed:
            failpoints.reach("retention.mid_delete")
        if await pace.rest(removed):
            return True
        if removed < BATCH:
            return False


def _bound(forget: Forget, before: datetime) -> Work:
    return lambda pool, account_id: forget(pool, account_id, before, BATCH)


def _answers(keep_hours: int) -> Work:
    """Answers kept under an Idempotency-Key."""

    async def work(pool: Pool, account_id: int) -> int:
        return await _in_account(
            pool,
            account_id,
            lambda conn: idempotency.purge(conn, account_id, keep_hours=keep_hours, at_most=BATCH),
        )

    return work


async def _tokens(pool: Pool, account_id: int) -> int:
    return await _in_account(
        pool, account_id, lambda conn: tokens.purge(conn, account_id, at_most=BATCH)
    )


async def _in_account(
    pool: Pool, account_id: int, work: Callable[[Connection], Awaitable[int]]
) -> int:
    async def once() -> int:
        async with tenant(pool, account_id) as conn:
            return await work(conn)

    return await retrying(once, seconds=None)


def _count(gone: Counter[str], kind: str, removed: int) -> None:
    gone[kind] += removed
    metrics.forgotten.labels(kind).inc(removed)
