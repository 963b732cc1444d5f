"""The budget's rule in the database, call by call beside a model that counts without arrays."""

import asyncio
import math
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from tests.stopped_clock import beside, put, stopped, waits_for_a_lock

ENDLESS = 2147483647


@pytest.fixture
async def session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    async with stopped(dsn) as connection:
        yield connection


async def test_a_window_slides_and_never_runs_back(session: asyncpg.Connection) -> None:
    slid = "SELECT slid_window($1::integer[], $2, $3, $4)"
    for spent, before, newest, size, after in (
        ([1, 2, 3], 7, 7, 3, [1, 2, 3]),
        ([1, 2, 3], 7, 8, 3, [2, 3, 0]),
        ([1, 2, 3], 7, 9, 3, [3, 0, 0]),
        ([1, 2, 3], 7, 10, 3, [0, 0, 0]),
        ([1, 2, 3], 7, 90, 3, [0, 0, 0]),
        ([1, 2, 3], 7, 5, 3, [1, 2, 3]),
        ([1, 2, 3], 7, 7, 4, [0, 0, 0, 0]),
        ([1, 2, 3], 7, 8, 2, [0, 0]),
    ):
        assert await session.fetchval(slid, spent, before, newest, size) == after


@dataclass
class Window:
    """What was spent in each bucket, by its number."""

    size: int
    newest: int = 0
    spent: dict[int, int] = field(default_factory=dict)

    def slide(self, newest: int) -> None:
        if newest < self.newest:
            back = self.newest - newest
            self.spent = {bucket - back: count for bucket, count in self.spent.items()}
        self.newest = newest
        self.spent = {b: count for b, count in self.spent.items() if b > newest - self.size}

    def add(self, bucket: int, count: int) -> None:
        self.spent[bucket] = self.spent.get(bucket, 0) + count

    def total(self, oldest: int | None = None) -> int:
        return sum(n for bucket, n in self.spent.items() if oldest is None or bucket >= oldest)

    @property
    def row(self) -> list[int]:
        first = self.newest - self.size + 1
        return [self.spent.get(bucket, 0) for bucket in range(first, self.newest + 1)]


@dataclass
class Rule:
    """An account's budget as the comments on ``spend_budget`` and ``promise_room`` tell it."""

    limit: int
    buckets: int
    width: int
    ahead: int
    burst: int
    burst_buckets: int
    burst_width: int

    def __post_init__(self) -> None:
        self.long = Window(self.buckets + 1 + self.ahead)
        self.short = Window(self.burst_buckets + 1)
        self.promises = Window(math.ceil(self.buckets * self.width / 1000) + 3)

    def spend(
        self, now: int, wanted: int, spare: int, returned: int, returned_bucket: int
    ) -> dict[str, Any]:
        bucket, size = now // self.width, self.long.size
        self.long.slide(bucket + self.ahead)
        self.short.slide(now // self.burst_width)
        self.promises.slide(now // 1000 + self.promises.size - 1)
        if bucket + self.ahead - size < returned_bucket <= bucket + self.ahead:
            left = max(0, self.long.spent.get(returned_bucket, 0) - returned)
            self.long.spent[returned_bucket] = left
        free = self.limit - self.long.total() if self.limit else ENDLESS
        burst_free = self.burst - self.short.total() if self.burst else ENDLESS
        granted = max(0, min(wanted, free, burst_free))
        lease = max(0, min(spare, int((free - granted) / 8))) if granted == wanted else 0
        self.long.add(bucket, granted)
        self.long.add(bucket + self.ahead, lease)
        self.short.add(now // self.burst_width, granted)
        oldest = min((b for b, count in self.long.spent.items() if count > 0), default=None)
        reset = (
            (0 if oldest is None else (oldest + self.buckets + 1) * self.width - now)
            if self.limit
            else self.burst_buckets * self.burst_width
        )
        return {
            "granted": granted,
            "spare": lease,
            "lease_bucket": bucket + self.ahead,
            "remaining": max(0, free - granted - lease) if self.limit else burst_free - granted,
            "reset_ms": reset,
            "retry_after": self.waits(now, wanted - granted),
        }

    def waits(self, now: int, denied: int) -> list[int]:
        waits: list[int] = []
        this, last = now // 1000, self.promises.size - 2
        promised = self.promises.spent
        for second in range(1, last + 1):
            then = now + second * 1000
            spent = self.long.total(then // self.width - self.buckets)
            burst = self.short.total(then // self.burst_width - self.burst_buckets)
            while len(waits) < denied:
                due = sum(promised.get(this + one, 0) for one in range(second + 1))
                before, own, after = (promised.get(this + second + n, 0) for n in (-1, 0, 1))
                if self.limit and spent + due >= self.limit:
                    break
                held = burst if second == 1 else 0
                if self.burst and max(held + before + own, own + after) >= self.burst:
                    break
                self.promises.add(this + second, 1)
                waits.append(second)
        return waits + [last] * (denied - len(waits))


SPEND = "SELECT * FROM spend_budget($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
ROW = "SELECT * FROM rate_window WHERE account_id = $1 AND kind = $2"
START = datetime(2026, 3, 1, 9, 0, 0, 999_000, tzinfo=UTC)
RULES = (
    (20, 4, 1000, 2, 0, 5, 200),
    (12, 8, 250, 2, 0, 20, 50),
    (0, 4, 1000, 2, 3, 5, 200),
    (30, 4, 750, 1, 4, 4, 250),
    (300, 6, 500, 2, 0, 5, 200),
    (9, 3, 2000, 2, 2, 5, 300),
)
SEEDS = 3
STEPS = 50


async def test_every_call_is_answered_as_the_model_says(
    session: asyncpg.Connection, account: int
) -> None:
    for seed in range(SEEDS):
        for number, rule in enumerate(RULES):
            await follow(session, account, f"{number}, {seed}", rule, random.Random(seed))


async def follow(
    session: asyncpg.Connection, account: int, kind: str, rule: tuple[int, ...], dice: random.Random
) -> None:
    model, moment = Rule(*rule), START
    returned, returned_bucket = 0, 0
    for step in range(STEPS):
        moment += timedelta(milliseconds=dice.choice([0, 1, 100, 250, 500, 1000, 1013, 3000]))
        if not step % 20:
            moment += timedelta(milliseconds=dice.choice([0, -1500, 8_000, 60_000]))
        await put(session, moment)
        now = round(moment.timestamp() * 1000)
        wanted, spare = dice.choice([0, 1, 1, 2, 5, 12]), dice.choice([0, 0, 2, 40])
        asked = (wanted, spare, returned, returned_bucket)
        got = await session.fetchrow(SPEND, account, kind, *asked, *rule)
        assert got is not None
        assert dict(got) == model.spend(now, *asked), (kind, step, asked)
        kept = await session.fetchrow(ROW, account, kind)
        assert kept is not None
        assert kept["spent"] == model.long.row
        assert kept["burst_spent"] == model.short.row
        assert kept["promised"] == model.promises.row
        assert kept["newest_bucket"] == model.long.newest
        # What a process gives back lies in the bucket of its lease, or has left the window since.
        returned = dice.choice([0, got["spare"], got["spare"], 3])
        returned_bucket = got["lease_bucket"] - dice.choice([0, 0, 1, model.long.size - 1, 40, -1])


async def test_two_callers_at_once_are_one_after_the_other(
    session: asyncpg.Connection, dsn: str, account: int
) -> None:
    rule = (20, 4, 1000, 2, 0, 5, 200)
    await session.fetchrow(SPEND, account, "read", 1, 0, 0, 0, *rule)
    async with beside(dsn) as other:
        async with session.transaction():
            await session.fetchrow(SPEND, account, "read", 12, 0, 0, 0, *rule)
            second = asyncio.create_task(other.fetchrow(SPEND, account, "read", 12, 0, 0, 0, *rule))
            await waits_for_a_lock(session, other)
        got = await second
        assert got is not None
        assert got["granted"] == 7
