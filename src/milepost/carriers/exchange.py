"""What goes to a carrier and comes back, without any HTTP library: ``Request`` and ``Answer``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

LONGEST_WAIT = 86_400.0
SHORTEST_WAIT = 1.0


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a carrier. Headers and query may hold secrets and names: they aren't printed.

    ``remember`` keeps the answer with its ETag, so that the next ask may cost the carrier nothing.
    """

    url: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes = field(default=b"", repr=False)
    remember: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a carrier answered; header names are lower case.

    An unchanged answer (304) arrives as the remembered one: whether anything is new is decided by
    what we have recorded, never by what we once received and may have failed to record.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def retry_after(self, default: float, now: datetime | None = None) -> float:
        """Seconds to wait as ``Retry-After`` says (seconds or a date), between 1 s and a day."""
        stated = self.headers.get("retry-after", "").strip()
        seconds = _seconds(stated, now or datetime.now(UTC))
        return min(max(default if seconds is None else seconds, SHORTEST_WAIT), LONGEST_WAIT)


class Asks(Protocol):
    """What a connector asks with: each request waits for a slot of the quota by itself."""

    async def fetch(self, request: Request) -> Answer:
        """The answer, whatever its status.

        Raises CarrierUnreachable when none came, and NoSlot or ClaimLost when nothing may be asked
        any more: those two are not the connector's to catch.
        """
        ...


class Slot(Protocol):
    """The right to one request, at its time."""

    async def near(self) -> None:
        """Return shortly before that time, early enough to find a connection."""
        ...

    async def start(self) -> None:
        """Return when the request may be sent, at once; a slot that is over is replaced."""
        ...


def _seconds(stated: str, now: datetime) -> float | None:
    if stated.isascii() and stated.isdigit():
        return float(stated[:10])
    try:
        until = parsedate_to_datetime(stated)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return (until - now).total_seconds()
