"""Registrations of one account that come while one is being stored share the next statement.

A statement costs far more than a row of it, so a busy account's statements grow instead of
multiplying. What became of one row says nothing about its neighbours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from milepost.errors import Conflict, DatabaseUnavailable
from milepost.parcels.draft import Ready

if TYPE_CHECKING:
    from milepost.parcels.register import Registered

MOST = 50
"""Registrations of one shared statement."""
PATIENCE_SECONDS = 0.01
"""The longest that registrations wait for the statement before theirs: it may be one that hangs."""

_Store = Callable[[int, Sequence[Ready]], Awaitable["list[Registered | Conflict]"]]
_Waiting = list[tuple[Ready, "asyncio.Future[Registered | Conflict]"]]


class Together:
    """Gathers what is to be stored. One instance per process and event loop."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._waiting: dict[int, _Waiting] = {}
        self._running: dict[int, set[asyncio.Task[None]]] = {}

    def store(self, account_id: int, ready: Ready) -> "asyncio.Future[Registered | Conflict]":
        """What becomes of it, in a statement it may share."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Registered | Conflict] = loop.create_future()
        waiting = self._waiting.get(account_id)
        if waiting is None:
            waiting = self._waiting[account_id] = []
            if account_id in self._running:
                loop.call_later(PATIENCE_SECONDS, self._start, account_id, waiting)
            else:
                loop.call_soon(self._start, account_id, waiting)
        waiting.append((ready, told))
        if len(waiting) >= MOST:
            self._start(account_id, waiting)
        return told

    def _start(self, account_id: int, waiting: _Waiting) -> None:
        if self._waiting.get(account_id) is not waiting:
            return
        del self._waiting[account_id]
        task = asyncio.create_task(self._ask(account_id, waiting))
        self._running.setdefault(account_id, set()).add(task)
        task.add_done_callback(lambda done: self._ended(account_id, done))

    def _ended(self, account_id: int, task: "asyncio.Task[None]") -> None:
        running = self._running[account_id]
        running.discard(task)
        if not running:
            del self._running[account_id]
        waiting = self._waiting.get(account_id)
        if waiting is not None:
            self._start(account_id, waiting)

    async def _ask(self, account_id: int, gathered: _Waiting) -> None:
        # Who has hung up meanwhile is not registered.
        waiting = [one for one in gathered if not one[1].done()]
        try:
            found = await self._store(account_id, [ready for ready, _ in waiting])
        except Exception as failure:  # noqa: BLE001 raised again where each is waited for
            if len(waiting) > 1 and not isinstance(failure, DatabaseUnavailable):
                # One row is at fault, and its neighbours must not suffer for it.
                for one in waiting:
                    await self._ask(account_id, [one])
                return
            for _, told in waiting:
                if not told.done():
                    told.set_exception(failure)
        except BaseException:
            for _, told in waiting:
                told.cancel()
            raise
        else:
            for (_, told), result in zip(waiting, found, strict=True):
                if not told.done():
                    told.set_result(result)
