"""Budgets whose database answers what a test gives it, and keeps what it was asked."""

import asyncio
from collections import deque
from typing import Any

from milepost.accounts.budget import Budgets, _Tally
from milepost.accounts.gatekeeper import Caller, Limits

NOW = 1000.0


def caller(reads: int = 100, writes: int = 100, burst: int = 15) -> Caller:
    return Caller(7, 1, "test", "newest", Limits(reads, writes, burst), 2)


def answer(granted: int, **others: Any) -> dict[str, Any]:
    said = {"granted": granted, "remaining": 50, "reset_ms": 30_500, "retry_after": [], "spare": 0}
    return {**said, "lease_bucket": 4000, **others}


class Database:
    """Gives the answers it was given and keeps what it was asked: wanted, spare, returned."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = deque(answers)
        self.asked: list[tuple[int, int, int]] = []
        self.during: Any = None

    async def say(self, _: _Tally, wanted: int, spare: int, returned: int) -> dict[str, Any]:
        self.asked.append((wanted, spare, returned))
        if self.during:
            self.during()
        await asyncio.sleep(0)
        said = self.answers.popleft()
        if isinstance(said, Exception):
            raise said
        return said


def budgets_on(database: Database) -> Budgets:
    made = Budgets(None)  # type: ignore[arg-type]
    made._said = database.say  # type: ignore[method-assign, assignment]
    return made
