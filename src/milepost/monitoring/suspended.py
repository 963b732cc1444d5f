"""Accounts that are suspended: their carriers are not asked until that is lifted."""

import time
from collections.abc import Sequence
from datetime import timedelta

from milepost.accounts.keys import suspended_accounts
from milepost.db.pool import Pool
from milepost.monitoring.claim import Lane, rest

LOOK_SECONDS = 5.0
"""How long a process takes to notice that one is."""
REST = timedelta(seconds=60)
"""How long one takes to go on, at most, when it is lifted."""


class Suspended:
    """What a worker knows of it; it costs the others one question in ``LOOK_SECONDS``."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` acts as milepost_worker, which sees the ids of those accounts."""
        self._pool = pool
        self._accounts: frozenset[int] = frozenset()
        self._seen_at = -LOOK_SECONDS

    async def left_out(self, lanes: Sequence[Lane]) -> list[Lane]:
        """The lanes of the others; those of suspended accounts rest."""
        if time.monotonic() - self._seen_at >= LOOK_SECONDS:
            self._accounts = await suspended_accounts(self._pool)
            self._seen_at = time.monotonic()
        found = []
        for lane in lanes:
            if lane.account_id in self._accounts:
                await rest(self._pool, lane, REST)
            else:
                found.append(lane)
        return found
