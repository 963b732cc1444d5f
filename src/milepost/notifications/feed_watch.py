"""Waiting for feeds to go on: one question for all who wait in this process, a few times a second.

Nobody who waits holds a connection, and a thousand accounts cost what one question costs. Whoever
waits names the last number it has seen, so what was told between its reading and its waiting wakes
it at the next look.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from milepost.db.pool import Pool, all_rows
from milepost.errors import DatabaseUnavailable
from milepost.notifications.statements import FEED

LOOK_SECONDS = 0.15
REST = 10
"""Between two looks lies so many times what the last one took: looking never takes more than a
tenth of one connection's time."""
FAULT_SECONDS = 1.0

log = structlog.get_logger(__name__)

Waiting = tuple[int, "asyncio.Future[bool]"]


class FeedWatch:
    """Tells who waits when their account's feed goes on; ``close`` sends all of them away."""

    def __init__(self, pool: Pool, look_seconds: float = LOOK_SECONDS) -> None:
        """``pool`` acts as milepost_app."""
        self._pool = pool
        self._pause = look_seconds
        self._waiting: dict[int, set[Waiting]] = {}
        self._looking: asyncio.Task[None] | None = None
        self.closed = False

    @contextmanager
    def beyond(self, account_id: int, seq: int) -> Iterator["asyncio.Future[bool]"]:
        """Done when the account's feed has gone beyond ``seq`` (True), or nobody looks any more
        (False)."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.closed:
            future.set_result(False)
            yield future
            return
        one = (seq, future)
        self._waiting.setdefault(account_id, set()).add(one)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield future
        finally:
            same = self._waiting.get(account_id, set())
            same.discard(one)
            if not same:
                self._waiting.pop(account_id, None)

    def close(self) -> None:
        """Nobody waits from now on."""
        self.closed = True
        for same in self._waiting.values():
            for _, future in same:
                _set(future, False)

    async def _look(self) -> None:
        """Look while somebody waits."""
        try:
            while self._waiting and not self.closed:
                began = time.monotonic()
                pause = FAULT_SECONDS
                try:
                    heads = await self._heads()
                except DatabaseUnavailable as fault:
                    log.warning("feeds can't be watched", reason=str(fault))
                else:
                    self._tell(heads)
                    pause = max(self._pause, REST * (time.monotonic() - began))
                await asyncio.sleep(pause)
        finally:
            self._looking = None

    async def _heads(self) -> dict[int, int]:
        asked = list(self._waiting)
        rows = await all_rows(lambda: FEED.feed_heads(self._pool, account_ids=asked))
        return {row["account_id"]: row["feed_seq"] for row in rows}

    def _tell(self, heads: dict[int, int]) -> None:
        for account_id, head in heads.items():
            for seq, future in self._waiting.get(account_id, ()):
                if head > seq:
                    _set(future, True)


def _set(future: "asyncio.Future[bool]", value: bool) -> None:
    if not future.done():
        future.set_result(value)
