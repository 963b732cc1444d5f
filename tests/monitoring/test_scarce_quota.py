"""Sixty calls an hour: never a 61st, and shared between accounts. The database's clock is ours."""

import random
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from tests.stopped_clock import put, stopped

from milepost.carriers.manifest import Quota
from milepost.monitoring.claim import QUERIES, Lane
from milepost.monitoring.slots import HORIZON, Budget

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=60)
QUOTA = Quota(per_hour=60)
BIG, SMALL = 10_000, 10
FILL = """
INSERT INTO account (account_id, name) VALUES ($account, 'x');
INSERT INTO parcel (account_id, carrier_code, tracking_number, source_id, request, announced_at,
    created_at, updated_at, phase, exception, status_type, sub_status, status, status_at)
SELECT $account, 'dhl', 'N' || n, 's' || n, '{}', now(), now(), now(),
    'in_transit', 'none', 'success', 'none', 'SHIPMENT_ON_ROUTE', now()
FROM generate_series(1, $count) AS n;
INSERT INTO watch (account_id, carrier_code, parcel_id, urgency, due_at)
SELECT account_id, 'dhl', parcel_id, 1, now() - interval '1 h' FROM parcel
WHERE account_id = $account;
INSERT INTO lane (account_id, carrier_code, turn_at) VALUES ($account, 'dhl', now());
"""
TAKE = "SELECT * FROM take_slots('dhl', $1, $2, $3, $4, NULL, interval '60 s')"
CLAIM = "SELECT parcel_id FROM claim_due($1, 'dhl', $2, $3, 1)"
WAIT = "SELECT wait_for_slot($1, 'dhl', $2, $3)"
REST = "SELECT rest_lane($1, 'dhl', $2)"


@pytest.fixture
async def session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    async with stopped(dsn) as connection:
        await put(connection, NOW)
        yield connection


@dataclass
class Workers:
    """Several processes, as ``Checker`` and ``Ledger`` use the database, on a clock that runs
    when they do. ``alone`` is a planted fault: each counts for itself; ``resting`` another: who
    gets no slot rests until the next, and no more is said."""

    session: asyncpg.Connection
    alone: bool = False
    resting: bool = False
    now: datetime = NOW
    dice: random.Random = field(default_factory=lambda: random.Random(5))
    sent: list[datetime] = field(default_factory=list)
    asked: Counter[int] = field(default_factory=Counter)
    budget: Budget = field(default_factory=lambda: Budget("dhl", "operator", QUOTA))

    async def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        await put(self.session, self.now)

    async def take(self, worker: int, horizon: timedelta) -> asyncpg.Record:
        owner = f"worker {worker}" if self.alone else "operator"
        slots = await self.session.fetchrow(TAKE, owner, self.budget.gap, horizon, 50)
        assert slots is not None
        for place in range(slots["granted"]):
            # As late as one may be.
            late = self.dice.choice([0.0, 0.0, self.budget.late_seconds])
            self.sent.append(slots["start_at"] + place * self.budget.gap + timedelta(seconds=late))
        return slots

    async def turn(self, worker: int, lane: Lane, seconds: float) -> None:
        """A token or a retry now and then; each statement takes ``seconds``."""
        slots = await self.take(worker, HORIZON)
        await self.pass_(seconds)
        if slots["granted"]:
            await self.session.fetch(CLAIM, lane.account_id, slots["granted"], LEASE)
            self.asked[lane.account_id] += slots["granted"]
            if self.dice.random() < 0.2:
                await self.take(worker, self.budget.further_horizon)
        elif self.resting:
            await self.session.execute(REST, lane.account_id, slots["wait"])
        else:
            await self.session.execute(WAIT, lane.account_id, slots["wait"], self.budget.gap)

    async def run(self, until: timedelta, slow: int = 0) -> None:
        """Every half a second each looks whose turn it is. An account's statements may be slow."""
        while self.now < NOW + until:
            for worker in range(3):
                rows = [row async for row in QUERIES.due_lanes(self.session, most=48)]
                for row in rows:
                    lane = Lane(row["account_id"], row["carrier_code"])
                    await self.turn(worker, lane, 0.02 if lane.account_id == slow else 0.002)
            turn_at = await self.session.fetchval("SELECT min(turn_at) FROM lane")
            await self.pass_(max(0.5, (turn_at - self.now).total_seconds() // 0.5 * 0.5))


async def fill(session: asyncpg.Connection, **counts: int) -> None:
    for account, count in enumerate(counts.values(), start=1):
        sql = FILL.replace("$account", str(account)).replace("$count", str(count))
        await session.execute(sql)
    await session.execute("ANALYZE watch")


def most_in(span: timedelta, sent: list[datetime]) -> int:
    ordered = sorted(sent)
    return max(bisect_left(ordered, first + span) - place for place, first in enumerate(ordered))


async def test_sixty_an_hour_are_never_sixty_one(session: asyncpg.Connection) -> None:
    await fill(session, big=500, small=SMALL)
    workers = Workers(session)
    await workers.run(4 * HOUR)
    assert most_in(HOUR, workers.sent) <= 60
    assert len(workers.sent) > 4 * 60 * 0.9, "and they are used"


async def test_workers_that_count_alone_are_caught(session: asyncpg.Connection) -> None:
    await fill(session, big=500, small=SMALL)
    workers = Workers(session, alone=True)
    await workers.run(1.1 * HOUR)
    assert most_in(HOUR, workers.sent) > 60


async def test_ten_parcels_do_not_wait_for_ten_thousand(session: asyncpg.Connection) -> None:
    """However slow the small account's statements are: theirs is every second slot."""
    await fill(session, big=BIG, small=SMALL)
    workers = Workers(session)
    await workers.run(timedelta(minutes=30), slow=2)
    assert workers.asked[2] == SMALL
    assert workers.asked[1] >= SMALL


async def test_lanes_that_only_rest_are_caught(session: asyncpg.Connection) -> None:
    """The planted fault: who is quicker by milliseconds takes every slot."""
    await fill(session, big=BIG, small=SMALL)
    workers = Workers(session, resting=True)
    await workers.run(timedelta(minutes=30), slow=2)
    assert workers.asked[2] < SMALL / 2


async def test_many_accounts_take_turns(session: asyncpg.Connection) -> None:
    await fill(session, **{f"account {number}": 60 for number in range(1, 7)})
    workers = Workers(session)
    await workers.run(HOUR, slow=3)
    assert len(workers.asked) == 6
    assert max(workers.asked.values()) - min(workers.asked.values()) <= 2
