"""What a process counts by itself: how often one client, or one address, asks for tokens.

These limits stand before authentication, where there is no account whose budget could be spent;
the account's own exact budget follows once a client has shown who it is.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable

from milepost.errors import TooManyRequests

WINDOW_SECONDS = 60.0
MOST_REMEMBERED = 10_000


class RecentRequests:
    """At most ``limit`` requests per key in any ``window`` seconds, for the latest keys."""

    def __init__(
        self,
        limit: int,
        window: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` gives seconds that never run backwards."""
        self._limit, self._window, self._clock = limit, window, clock
        self._seen: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def count(self, key: Hashable) -> None:
        """Count one request; TooManyRequests, uncounted, when the key has had its share."""
        now = self._clock()
        times = self._seen.setdefault(key, deque())
        self._seen.move_to_end(key)
        while times and times[0] <= now - self._window:
            times.popleft()
        if len(times) >= self._limit:
            raise TooManyRequests(max(1, math.ceil(times[0] + self._window - now)), self._limit)
        times.append(now)
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)


class TokenLimits:
    """The token endpoint's own limits, per (client id, address) and per address."""

    def __init__(self, per_client: int = 100, per_address: int = 300) -> None:
        """Requests a minute."""
        self._clients = RecentRequests(per_client)
        self._addresses = RecentRequests(per_address)

    def count(self, client_id: str, address: str) -> None:
        """Count one request for a token; TooManyRequests over a limit."""
        self._addresses.count(address)
        # Ours are far shorter; a cut keeps what is remembered bounded.
        self._clients.count((client_id[:64], address))
