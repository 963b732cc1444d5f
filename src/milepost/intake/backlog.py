"""How much of what was pushed may wait: carriers can't fill the disk while nobody tells what they
push."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from milepost.db.pool import Pool, retrying
from milepost.intake.statements import INTAKE

BELIEVED_SECONDS = 10.0
"""How long a look is believed, with what came through this process since added to it."""
LOOK_SECONDS = 1.0
"""The least time between two looks at an account that has too much."""
AGAIN_SECONDS = 60
"""After which a carrier that was turned away may try again."""


MOST_LOOKS = 10_000


@dataclass(slots=True)
class _Look:
    bytes_waiting: int
    at: float


class Backlog:
    """Says whether there is room for one more. One per process: so many may believe there is."""

    def __init__(
        self, pool: Pool, most_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``most_bytes`` of an account's payloads may wait to be told; 0 is no limit."""
        self._pool = pool
        self._most = most_bytes
        self._clock = clock
        self._looks: dict[int, _Look] = {}

    async def has_room(self, account_id: int, size: int) -> bool:
        """Whether ``size`` bytes more may wait; they are counted if so. One payload may always.

        Raises DatabaseUnavailable.
        """
        if not self._most:
            return True
        look = self._looks.get(account_id)
        believed = LOOK_SECONDS if look and self._is_full(look, size) else BELIEVED_SECONDS
        if look is None or self._clock() - look.at >= believed:
            look = await self._look(account_id)
        if self._is_full(look, size):
            return False
        look.bytes_waiting += size
        return True

    def _is_full(self, look: _Look, size: int) -> bool:
        return bool(look.bytes_waiting) and look.bytes_waiting + size > self._most

    async def _look(self, account_id: int) -> _Look:
        at = self._clock()
        if account_id in self._looks:
            # Who comes meanwhile goes by what we knew.
            self._looks[account_id].at = at
        waiting = await retrying(
            lambda: INTAKE.waiting_push_bytes(self._pool, account_id=account_id)
        )
        look = _Look(waiting, at)
        self._looks.pop(account_id, None)
        self._looks[account_id] = look
        if len(self._looks) > MOST_LOOKS:
            del self._looks[next(iter(self._looks))]
        return look
