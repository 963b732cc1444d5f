"""Whose turn it is: accounts with something to be told, and feeds that are to be asked."""

from dataclasses import dataclass
from datetime import timedelta

from milepost.db.jobs import only_one
from milepost.db.pool import Pool, all_rows
from milepost.intake.feeds import Feeds
from milepost.intake.inbox import Inbox
from milepost.intake.statements import INTAKE

FEEDS_EVERY = timedelta(minutes=10)
"""A login that is new waits so long at most until its feed is asked; each is looked up for that."""
LEASE_SECONDS = 600
PUSH = "push"
FEED = "feed:"


@dataclass(frozen=True, slots=True)
class Turn:
    """One account's turn: to be told what was pushed, or to have a carrier's feed asked."""

    account_id: int
    queue: str


class Intake:
    """Takes turns. One per worker process, safe beside any number of others."""

    def __init__(self, pool: Pool, inbox: Inbox, feeds: Feeds) -> None:
        self._pool = pool
        self._inbox = inbox
        self._feeds = feeds

    async def due(self, most: int) -> list[Turn]:
        """At most ``most`` turns that are due, the longest due first."""
        rows = await all_rows(lambda: INTAKE.due_turns(self._pool, most=most))
        return [Turn(row["account_id"], row["queue"]) for row in rows]

    async def take(self, turn: Turn) -> int:
        """Take one; how many payloads were told, or came."""
        if turn.queue.startswith(FEED):
            return await self._feeds.ask(turn.account_id, turn.queue.removeprefix(FEED))
        return await self._inbox.work(turn.account_id)

    async def plan_feeds(self) -> int:
        """See that every login that has a feed of changes has its turn; how many there are."""
        return await self._feeds.plan()

    async def plan_feeds_in_turn(self) -> None:
        """``plan_feeds``, by one worker at a time and no oftener than it is due."""
        every = FEEDS_EVERY.total_seconds() * 0.9
        async with only_one(self._pool, "feeds", LEASE_SECONDS, every=every) as turn:
            if turn is not None:
                turn.outcome = {"feeds": await self.plan_feeds()}
