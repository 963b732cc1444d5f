"""Rate budgets: exact sliding windows per account, over all its keys and all processes.

The count lives in the database (``spend_budget`` explains why it holds). Each process asks with one
call at a time per account and kind, on behalf of everybody who waits. While there is plenty it
leases a little more than it needs, for half a second: a lease counts as spent at its end, and what
is left goes back. Over budget there are no leases; callers then wait for the next common call, a
twentieth of a second at most, and each denied one gets a Retry-After of its own.
"""

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from milepost.accounts.gatekeeper import Caller, Limits
from milepost.accounts.statements import statements
from milepost.db.patience import answered
from milepost.db.pool import Pool, retrying
from milepost.errors import TooManyRequests

Kind = Literal["read", "write", "token", "push"]
TOKENS_PER_MINUTE = 100
PUSHES_PER_MINUTE = 6_000
MOST_TALLIES = 10_000
MOST_LEASED = 10_000
_BUCKETS = 240
_BURST_BUCKETS = 20


@dataclass(frozen=True, slots=True)
class Windows:
    """How long the two windows are; only tests make them shorter.

    A window is cut into buckets, and a bucket counts until its last instant has left: that costs
    1/240 of the long limit and 1/20 of the burst, and never lets one request too many through.
    """

    long_seconds: float = 60.0
    burst_seconds: float = 1.0

    @property
    def bucket_ms(self) -> int:
        """Width of a bucket of the long window."""
        return math.ceil(self.long_seconds * 1000 / _BUCKETS)

    @property
    def burst_bucket_ms(self) -> int:
        """Width of a bucket of the burst window."""
        return math.ceil(self.burst_seconds * 1000 / _BURST_BUCKETS)

    @property
    def lease_buckets(self) -> int:
        """A lease lasts two buckets, half a second."""
        return 2

    @property
    def lease_seconds(self) -> float:
        """How long leased budget may be spent."""
        return self.lease_buckets * self.bucket_ms / 1000

    @property
    def pace_seconds(self) -> float:
        """The least time between two calls of a process for an account that is over budget."""
        return self.long_seconds / 1200


class Spent(NamedTuple):
    """One request's worth was spent. ``limit`` 0: there is no limit, nothing to tell."""

    limit: int
    remaining: int
    reset_seconds: int


UNLIMITED = Spent(0, 0, 0)


@dataclass(slots=True, eq=False)
class _Tally:
    """What this process knows of one account's budget of one kind."""

    account_id: int
    kind: Kind
    limit: int = 0
    burst: int = 0
    waiting: deque["asyncio.Future[Spent]"] = field(default_factory=deque)
    runner: "asyncio.Task[None] | None" = None
    leased: int = 0
    lease_bucket: int = 0
    lease_until: float = 0.0
    remaining: int = 0
    reset_at: float = 0.0
    asked_at: float = -math.inf
    spent_since: int = 0
    denied_at: float = -math.inf

    @property
    def idle(self) -> bool:
        return self.runner is None and not self.waiting and not self.leased


class Budgets:
    """Spends the budgets of all accounts in this process."""

    def __init__(self, pool: Pool, windows: Windows | None = None) -> None:
        """``pool`` acts as the application role."""
        self._pool = pool
        self._windows = windows or Windows()
        self._tallies: dict[tuple[int, Kind], _Tally] = {}

    def spend_leased(self, caller: Caller, kind: Kind) -> Spent | None:
        """Spend one request of what is leased, or of no limit; None: the database must be asked."""
        limit, burst = _limits(caller.limits, kind)
        if not limit and not burst:
            return UNLIMITED
        tally = self._tallies.get((caller.account_id, kind))
        if tally is None or not tally.leased or tally.waiting:
            return None
        now = time.monotonic()
        if now >= tally.lease_until:
            return None
        tally.limit, tally.burst = limit, burst
        return self._of_lease(tally, now)

    async def spend(self, caller: Caller, kind: Kind) -> Spent:
        """Spend one request. TooManyRequests over budget, DatabaseUnavailable when nobody knows."""
        spent = self.spend_leased(caller, kind)
        if spent is not None:
            return spent
        tally = self._tally(caller.account_id, kind)
        tally.limit, tally.burst = _limits(caller.limits, kind)
        future: asyncio.Future[Spent] = asyncio.get_running_loop().create_future()
        tally.waiting.append(future)
        self._wake(tally)
        return await answered(future)

    async def left(self, caller: Caller, kind: Kind) -> Spent:
        """What is left, spending nothing; what a process holds in advance counts as spent."""
        limit, burst = _limits(caller.limits, kind)
        if not limit and not burst:
            return UNLIMITED
        answer = await self._said(_Tally(caller.account_id, kind, limit, burst), 0, 0, 0)
        reset = math.ceil(answer["reset_ms"] / 1000)
        return Spent(limit or burst, max(0, answer["remaining"]), max(1, reset))

    async def close(self) -> None:
        """Give back what is leased and end; nobody may be spending any more."""
        runners = [tally.runner for tally in self._tallies.values() if tally.runner]
        await asyncio.gather(*runners, return_exceptions=True)
        leased = [tally for tally in self._tallies.values() if tally.leased]
        await asyncio.gather(*(self._ask(tally, 0) for tally in leased), return_exceptions=True)

    def _tally(self, account_id: int, kind: Kind) -> _Tally:
        tally = self._tallies.get((account_id, kind))
        if tally is None:
            if len(self._tallies) >= MOST_TALLIES:
                self._forget_idle()
            tally = _Tally(account_id, kind)
            self._tallies[account_id, kind] = tally
        return tally

    def _forget_idle(self) -> None:
        self._tallies = {key: tally for key, tally in self._tallies.items() if not tally.idle}

    def _wake(self, tally: _Tally) -> None:
        if tally.runner is None:
            tally.runner = asyncio.ensure_future(self._serve(tally))

    async def _serve(self, tally: _Tally) -> None:
        """Answer whoever waits, one call at a time, until nobody does."""
        try:
            while tally.waiting or self._owes(tally):
                pause = tally.denied_at + self._windows.pace_seconds - time.monotonic()
                if pause > 0:
                    await asyncio.sleep(pause)
                batch = [future for future in tally.waiting if not future.done()]
                tally.waiting.clear()
                # As values: whatever goes wrong is told to those who wait, and to nobody else.
                answers = await asyncio.gather(self._ask(tally, len(batch)), return_exceptions=True)
                self._tell(tally, batch, answers[0])
                self._let_in(tally)
        finally:
            tally.runner = None
            if tally.waiting:
                self._wake(tally)

    def _owes(self, tally: _Tally) -> bool:
        return tally.leased > 0 and time.monotonic() >= tally.lease_until

    async def _ask(self, tally: _Tally, wanted: int) -> Any:
        """One call to the database for ``wanted`` requests; takes a lease where there is plenty."""
        returned, tally.leased = tally.leased, 0
        asked_at = time.monotonic()
        spare = self._worth_leasing(tally, asked_at) if wanted else 0
        answer = await self._said(tally, wanted, spare, returned)
        if wanted:
            tally.spent_since, tally.asked_at = wanted, asked_at
        tally.remaining = answer["remaining"]
        tally.reset_at = asked_at + answer["reset_ms"] / 1000
        if answer["granted"] < wanted:
            tally.denied_at = asked_at
        if answer["spare"]:
            self._lease(tally, answer["spare"], answer["lease_bucket"], asked_at)
        return answer

    async def _said(self, tally: _Tally, wanted: int, spare: int, returned: int) -> Any:
        windows = self._windows
        return await retrying(
            lambda: statements.spend_budget(
                self._pool,
                account_id=tally.account_id,
                kind=tally.kind,
                wanted=wanted,
                spare=spare,
                returned=returned,
                returned_bucket=tally.lease_bucket,
                limit=tally.limit,
                buckets=_BUCKETS,
                bucket_ms=windows.bucket_ms,
                lease_buckets=windows.lease_buckets,
                burst=tally.burst,
                burst_buckets=_BURST_BUCKETS,
                burst_bucket_ms=windows.burst_bucket_ms,
            )
        )

    def _worth_leasing(self, tally: _Tally, now: float) -> int:
        """What a lease's time will need at the pace since a recent call, but at most twice what
        was spent: a pace measured over a few requests is no pace."""
        lease_seconds = self._windows.lease_seconds
        since = max(now - tally.asked_at, 0.001)
        if tally.burst or since >= 2 * lease_seconds:
            return 0
        needed = math.ceil(tally.spent_since * lease_seconds / since)
        return min(MOST_LEASED, 2 * tally.spent_since, needed)

    def _lease(self, tally: _Tally, units: int, bucket: int, asked_at: float) -> None:
        tally.leased, tally.lease_bucket = units, bucket
        tally.lease_until = asked_at + self._windows.lease_seconds
        loop = asyncio.get_running_loop()
        delay = max(0.0, tally.lease_until - time.monotonic())
        loop.call_later(delay, self._lease_ended, tally)

    def _lease_ended(self, tally: _Tally) -> None:
        if self._owes(tally):
            self._wake(tally)

    def _tell(self, tally: _Tally, batch: "list[asyncio.Future[Spent]]", answer: Any) -> None:
        if isinstance(answer, BaseException):
            for future in batch:
                if not future.done():
                    future.set_exception(answer)
            return
        now, granted = time.monotonic(), answer["granted"]
        for place, future in enumerate(batch):
            if future.done():
                continue
            if place < granted:
                left = tally.leased + granted - place - 1
                future.set_result(self._spent(tally, left, now))
            else:
                wait = answer["retry_after"][place - granted]
                future.set_exception(TooManyRequests(wait, tally.limit or tally.burst))

    def _let_in(self, tally: _Tally) -> None:
        """Who came during a call spends of the lease it brought: the next call would return it."""
        now = time.monotonic()
        while tally.waiting and tally.leased and now < tally.lease_until:
            future = tally.waiting.popleft()
            if not future.done():
                future.set_result(self._of_lease(tally, now))

    def _of_lease(self, tally: _Tally, now: float) -> Spent:
        tally.leased -= 1
        tally.spent_since += 1
        return self._spent(tally, tally.leased, now)

    def _spent(self, tally: _Tally, unspent: int, now: float) -> Spent:
        """``unspent`` is what this process holds beside what the database has left."""
        remaining = max(0, tally.remaining + unspent)
        reset = max(1, math.ceil(tally.reset_at - now))
        return Spent(tally.limit or tally.burst, remaining, reset)


def _limits(limits: Limits, kind: Kind) -> tuple[int, int]:
    """The long limit and the burst of a kind of request; 0 is none."""
    match kind:
        case "read":
            return limits.reads_per_minute, 0
        case "write":
            return limits.writes_per_minute, limits.writes_per_second
        case "token":
            return TOKENS_PER_MINUTE, 0
        case "push":
            return PUSHES_PER_MINUTE, 0
