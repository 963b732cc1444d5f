"""Who reads the event feed and waits: how many may, and until when each one does."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from milepost.api.authentication import Receive
from milepost.api.bodies import Refused
from milepost.api.problems import Problem
from milepost.errors import TooManyRequests
from milepost.settings import Settings

RETRY_SECONDS = 5
AT_ONCE = 2
"""Streams of this process that read at a time: a thousand that catch up leave connections to
everybody else."""


class Readers:
    """Those of this process who wait, or are being streamed to. ``turns`` is held to read."""

    def __init__(self, settings: Settings) -> None:
        self._most = settings.max_event_readers
        self._most_of_account = settings.max_event_readers_per_account
        self._of_account: Counter[int] = Counter()
        self.turns = asyncio.Semaphore(AT_ONCE)

    @contextmanager
    def one_more(self, account_id: int) -> Iterator[None]:
        """One of them within the block.

        Raises TooManyRequests where the account has too many, Refused (503) where the process has.
        """
        if self._of_account[account_id] >= self._most_of_account:
            raise TooManyRequests(RETRY_SECONDS)
        if self._of_account.total() >= self._most:
            raise Refused(_FULL)
        self._of_account[account_id] += 1
        try:
            yield
        finally:
            self._of_account[account_id] -= 1
            if not self._of_account[account_id]:
                del self._of_account[account_id]


@asynccontextmanager
async def leaving(receive: Receive) -> "AsyncIterator[asyncio.Task[None]]":
    """Done when the client has hung up."""
    task = asyncio.create_task(_until_gone(receive))
    try:
        yield task
    finally:
        task.cancel()


async def first_of(seconds: float, *awaited: "asyncio.Future[Any]") -> None:
    """Wait until one of them is done, at most so long."""
    await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_FULL = Problem(
    503,
    "too_many_readers",
    "Too many readers wait for events here at the moment.",
    retry_after=RETRY_SECONDS,
)
