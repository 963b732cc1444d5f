"""What every request to a carrier leaves behind: its seconds, and a span where traces are sent."""

from functools import lru_cache
from time import perf_counter

from prometheus_client import Histogram

from milepost import metrics, tracing
from milepost.carriers.exchange import Slot
from milepost.errors import MilepostError

MOST_SERIES = 512


class Asked:
    """One request to the documented ``host``.

    Neither path nor query is told: they hold tracking numbers, and some hold postal codes.
    """

    __slots__ = ("_host", "_sent_at", "_slot")

    def __init__(self, host: str, slot: Slot | None) -> None:
        self._host = host
        self._slot = slot
        self._sent_at: float | None = None

    async def start(self) -> None:
        """Return when it may be sent; the carrier's time begins here, not with the wait for it."""
        if self._slot is not None:
            await self._slot.start()
        self._sent_at = perf_counter()

    def answered(self, status: int) -> None:
        """The answer has begun."""
        self._tell("429" if status == 429 else f"{status // 100}xx", "")

    def failed(self, failure: BaseException) -> None:
        """No answer came. Our own quota or a lost lease: the carrier was not asked."""
        if not isinstance(failure, MilepostError):
            self._tell("failed", type(failure).__name__)

    def _tell(self, outcome: str, failure: str) -> None:
        seconds = 0.0 if self._sent_at is None else perf_counter() - self._sent_at
        _seconds_of(self._host, outcome).observe(seconds)
        if tracing.on():
            told = {"server.address": self._host, "milepost.outcome": outcome}
            tracing.ended("carrier request", seconds, failure, **told)


@lru_cache(maxsize=MOST_SERIES)
def _seconds_of(host: str, outcome: str) -> Histogram:
    return metrics.carrier_seconds.labels(host, outcome)
