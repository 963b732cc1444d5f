"""What the database's clock says now, as far as this process can know it."""

import time
from collections.abc import Callable

# Two clocks go apart by so much a second at most, unless one of them is set.
DRIFT = 2e-4
SELDOM = 60.0
"""Seconds between two times that the clock is asked for its own sake."""


def running_time() -> float:
    """Seconds that never run backwards and go on while the machine sleeps (where it has that)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class DatabaseClock:
    """Learns from every answer that tells the database's time how far it is from ours.

    An answer bounds the difference from both sides: it was told after we asked and before we
    heard. The bounds of all answers together are closer than those of any one.
    """

    def __init__(self, clock: Callable[[], float] = running_time) -> None:
        """``clock`` gives seconds of this process; the wall clock plays no part."""
        self._clock = clock
        self._low = float("-inf")
        self._high = float("inf")
        self._heard_at = 0.0
        self._looked_at = float("-inf")

    def asked(self) -> float:
        """The moment of a question, for ``heard``."""
        return self._clock()

    def heard(self, asked_at: float, told: float) -> None:
        """The answer to a question of ``asked_at`` was ``told`` (seconds of the epoch)."""
        now = self._clock()
        low, high = told - now, told - asked_at
        drifted = DRIFT * (now - self._heard_at)
        self._low, self._high = max(self._low - drifted, low), min(self._high + drifted, high)
        if self._low > self._high:
            # The database's clock was set, or ours stood still.
            self._low, self._high = low, high
        self._heard_at = now

    def due(self, doubt: float) -> bool:
        """Whether ``now`` may be behind by more than ``doubt`` seconds: worth asking, not often."""
        looked_at, now = self._looked_at, self._clock()
        if self._high - self._low <= doubt or now - looked_at < SELDOM:
            return False
        self._looked_at = now
        return True

    def now(self) -> float:
        """Seconds of the epoch by the database's clock: so late it is at least, never earlier."""
        return self._clock() + self._low
