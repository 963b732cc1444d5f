"""Carrier quotas: start times handed out one by one, over all workers and accounts."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.carriers.manifest import Quota
from milepost.db.pool import Pool, retrying
from milepost.errors import NoSlot
from milepost.monitoring.claim import Lane, rest, wait_for_slot
from milepost.monitoring.database_clock import DatabaseClock

HORIZON = timedelta(seconds=1)
"""How far ahead a slot is worth waiting for with the lane in hand."""
FURTHER_HORIZON = timedelta(seconds=30)
"""How long a check that is under way waits for its next request, and twice the spacing where that
is longer."""
LONGEST_HORIZON = timedelta(minutes=10)
LATE = 0.2
"""A slot that is not used within so many seconds is forfeited; sooner where a limit is close."""
EARLY = 1.0
"""So many seconds before its slot a request looks for a connection, at most."""
MOST_FORFEITED = 5
"""A process that misses so many slots in a row is too slow to ask just now."""
PROBE_LEASE = timedelta(seconds=60)
DOUBT = 0.01
"""Seconds of doubt about the database's clock that are worth a question of their own."""
LOOKS = 3
SHORTEST_REST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Grant:
    """``granted`` start times, the first at ``start_at``; none: come back after ``wait``.

    ``why`` is ``quota``, ``open`` (the breaker) or ``paused``. ``probe`` numbers the one question
    that a half-open breaker lets through; ``troubled`` asks for answers to be counted.
    """

    granted: int
    start_at: datetime
    wait: timedelta
    why: str = ""
    probe: int | None = None
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """Whose quota: one carrier asked with the credential of one owner."""

    carrier_code: str
    owner: str
    quota: Quota

    @property
    def gap(self) -> timedelta:
        """Between two requests; zero is no limit."""
        return timedelta(seconds=self.quota.spacing_seconds)

    @property
    def further_horizon(self) -> timedelta:
        """How far ahead a slot is worth waiting for in the middle of a check."""
        return min(max(FURTHER_HORIZON, 2 * self.gap), LONGEST_HORIZON)

    @property
    def late_seconds(self) -> float:
        """How late a request may start: half of the slack, the other half is the network's."""
        return min(LATE, self.quota.slack_seconds / 2) if self.gap else float("inf")

    @property
    def early_seconds(self) -> float:
        """How long before its time a request looks for a connection."""
        return min(EARLY, self.quota.spacing_seconds / 4)


class Ledger:
    """The slots of one check: some taken before, one more for every request beyond them."""

    def __init__(self, pool: Pool, clock: DatabaseClock, budget: Budget) -> None:
        self._pool = pool
        self._clock = clock
        self.budget = budget
        self.probe: int | None = None
        self.troubled = False
        self.denied: NoSlot | None = None
        self._first: Grant | None = None
        self._starts: deque[float] = deque()
        # Asked for several times for every request.
        self.late = budget.late_seconds
        self.early = budget.early_seconds
        self.further_horizon = budget.further_horizon
        self.unlimited = not budget.gap

    async def take(self, most: int) -> Grant:
        """Up to ``most`` slots within the horizon."""
        await self._look_at_the_clock()
        grant = await self._take(HORIZON, most)
        if not grant.granted:
            self.deny(grant.why, grant.wait.total_seconds())
        self._first = grant
        start, gap = grant.start_at.timestamp(), self.budget.gap.total_seconds()
        self._starts.extend(start + place * gap for place in range(grant.granted))
        return grant

    def slot(self, may_ask: Callable[[], None] = lambda: None) -> "OneSlot":
        """For one request. ``may_ask`` is called just before and raises where it may not be."""
        return OneSlot(self, self._clock, may_ask)

    async def keep(self, granted: int) -> None:
        """Give the slots beyond the first ``granted`` back."""
        await self._give_back(max(0, len(self._starts) - granted))

    async def close(self) -> None:
        """Give back what nobody used."""
        await self._give_back(len(self._starts))

    async def next(self, horizon: timedelta) -> float:
        """The start of the next slot within ``horizon``, by the database's clock. Raises NoSlot."""
        if self.denied is not None:
            raise self.denied
        while self._starts:
            start = self._starts.popleft()
            if self._clock.now() <= start + self.late:
                return start
        if self.unlimited:
            return self._clock.now()
        grant = await self._take(horizon, 1)
        if not grant.granted:
            raise self.deny(grant.why, grant.wait.total_seconds())
        return grant.start_at.timestamp()

    def deny(self, why: str, wait: float) -> NoSlot:
        """No more requests in this check."""
        self.denied = NoSlot(why, wait)
        return self.denied

    async def _take(self, horizon: timedelta, most: int) -> Grant:
        asked_at = self._clock.asked()
        row = await retrying(
            lambda: self._pool.fetchrow(
                "SELECT * FROM take_slots($1, $2, $3, $4, $5, $6, $7)",
                self.budget.carrier_code,
                self.budget.owner,
                self.budget.gap,
                horizon,
                most,
                self.probe,
                PROBE_LEASE,
            )
        )
        assert row is not None  # noqa: S101 - a function with OUT parameters gives one row
        self._clock.heard(asked_at, row["clock"].timestamp())
        self.probe = row["probe"] or self.probe
        self.troubled = row["troubled"]
        return Grant(
            granted=row["granted"],
            start_at=row["start_at"],
            wait=max(timedelta(), row["wait"]),
            why=row["why"],
            probe=row["probe"],
            troubled=row["troubled"],
        )

    async def _give_back(self, unused: int) -> None:
        taken = self._first
        for _ in range(unused):
            self._starts.pop()
        if taken is None or not unused or not self.budget.gap:
            return
        await retrying(
            lambda: self._pool.execute(
                "SELECT return_carrier_slots($1, $2, $3, $4, $5, $6)",
                self.budget.carrier_code,
                self.budget.owner,
                self.budget.gap,
                taken.start_at,
                taken.granted,
                unused,
            )
        )
        self._first = Grant(taken.granted - unused, taken.start_at, taken.wait)

    async def _look_at_the_clock(self) -> None:
        for _ in range(LOOKS if self._clock.due(DOUBT) else 0):
            asked_at = self._clock.asked()
            told = await retrying(
                lambda: self._pool.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
            )
            self._clock.heard(asked_at, told)


class OneSlot:
    """The right to one request, at its time (``exchange.Slot``)."""

    def __init__(self, ledger: Ledger, clock: DatabaseClock, may_ask: Callable[[], None]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._may_ask = may_ask
        self._start: float | None = None

    async def near(self) -> None:
        """Shortly before its time."""
        self._start = await self._ledger.next(self._ledger.further_horizon)
        await self._until(self._start - self._ledger.early)

    async def start(self) -> None:
        """Its time. A slot that is over is forfeited: late, it would lie in another's window."""
        for _ in range(MOST_FORFEITED):
            start = self._start
            if start is None:
                # Soon or not at all: the connection is in hand, and does not live for ever.
                start = await self._ledger.next(HORIZON)
            await self._until(start)
            self._may_ask()
            self._start = None
            if self._clock.now() <= start + self._ledger.late:
                return
        raise self._ledger.deny("this process is too slow", HORIZON.total_seconds())

    async def _until(self, moment: float) -> None:
        # Asked again after each sleep: the loop's clock is not the database's.
        while True:
            wait = moment - self._clock.now()
            if wait <= 0:
                return
            await asyncio.sleep(wait)


async def stay_away(pool: Pool, lane: Lane, denied: NoSlot, gap: timedelta) -> None:
    """Let ``lane`` rest as long as it was told; slots of its quota lie ``gap`` apart."""
    wait = timedelta(seconds=denied.wait)
    if denied.why == "quota":
        await wait_for_slot(pool, lane, wait, gap)
    else:
        await rest(pool, lane, max(wait, SHORTEST_REST))


async def hold(pool: Pool, carrier_code: str, owner: str, seconds: float) -> None:
    """Give no slots for ``seconds``: the carrier said Retry-After to this credential."""
    await retrying(
        lambda: pool.execute(
            "SELECT hold_carrier($1, $2, $3)", carrier_code, owner, timedelta(seconds=seconds)
        )
    )
