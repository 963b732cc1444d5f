"""What was found out a moment ago: bounded, short-lived, asked for once by all who wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from milepost.db.patience import shared

T = TypeVar("T")


class Recent(Generic[T]):
    """Values by key, each believed for ``keep_seconds`` from the moment its question was asked.

    Counting from the question, not from the answer, bounds how old the truth behind a value can
    be. Callers that miss together share one question. The oldest values go when it is full.
    """

    def __init__(
        self,
        keep_seconds: float,
        max_entries: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` gives seconds that never run backwards."""
        self._keep_seconds = keep_seconds
        self._max_entries = max_entries
        self._clock = clock
        self._known: dict[bytes, tuple[float, T]] = {}
        self._asking: dict[bytes, asyncio.Task[T]] = {}

    def get(self, key: bytes) -> T | None:
        """The value where it is still believed."""
        entry = self._known.get(key)
        if entry is None or entry[0] <= self._clock():
            return None
        return entry[1]

    async def find(self, key: bytes, ask: Callable[[], Awaitable[T]]) -> T:
        """The believed value, else the answer to ``ask``; an ``ask`` that raises is not kept.

        Raises DatabaseUnavailable where the request that waits is out of time.
        """
        known = self.get(key)
        if known is not None:
            return known
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(key, ask))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._asked(key, done))
        return await shared(asking)

    async def _ask(self, key: bytes, ask: Callable[[], Awaitable[T]]) -> T:
        asked_at = self._clock()
        value = await ask()
        self.keep(key, value, asked_at)
        return value

    def keep(self, key: bytes, value: T, asked_at: float | None = None) -> None:
        """Believe a value found out elsewhere, ``asked_at`` a moment of the clock (now)."""
        self._known.pop(key, None)
        while len(self._known) >= self._max_entries:
            self._known.pop(next(iter(self._known)))
        moment = self._clock() if asked_at is None else asked_at
        self._known[key] = (moment + self._keep_seconds, value)

    def forget(self, key: bytes) -> None:
        """It is known to be out of date."""
        self._known.pop(key, None)

    def _asked(self, key: bytes, task: "asyncio.Task[T]") -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()
