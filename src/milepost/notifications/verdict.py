"""What a subscriber's answer means for a delivery. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from milepost.egress.outcomes import Answered, Failed, Forbidden, Outcome

BUSY = frozenset({429, 503})
GONE = 410


class Verdict(StrEnum):
    """``FORBIDDEN``: nothing was sent, so it was no attempt. ``GONE``: never again.

    Of one message, and not of the subscriber: ``REJECTED`` is refused for good, ``WITHHELD`` is not
    to be sent at all (no attempt; the log says why), ``PUT_OFF`` not now, and what follows it
    neither (no attempt).
    """

    DELIVERED = "delivered"
    REFUSED = "refused"
    GONE = "gone"
    FAILED = "failed"
    FORBIDDEN = "forbidden"
    REJECTED = "rejected"
    WITHHELD = "withheld"
    PUT_OFF = "put_off"


OF_MESSAGE = frozenset({Verdict.REJECTED, Verdict.WITHHELD, Verdict.PUT_OFF})


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, why, and for how many seconds the subscriber asks to be left alone.

    ``of_message``: another message may fare better, so it says nothing of the subscriber.
    """

    verdict: Verdict
    reason: str = ""
    wished: float | None = None
    of_message: bool = False

    @property
    def was_sent(self) -> bool:
        """Whether it counts as an attempt: a request was really sent."""
        return self.verdict not in (Verdict.FORBIDDEN, Verdict.PUT_OFF, Verdict.WITHHELD)

    @property
    def is_about_subscriber(self) -> bool:
        """Whether it counts for or against the subscriber."""
        return not self.of_message and self.verdict not in OF_MESSAGE


def judge(outcome: Outcome, now: datetime) -> Judged:
    """Any 2xx is success; a redirect is a failure, as nothing is sent where it points."""
    match outcome:
        case Forbidden(reason):
            return Judged(Verdict.FORBIDDEN, reason)
        case Failed(kind, reason):
            return Judged(Verdict.FAILED, f"{kind}: {reason}")
        case Answered(status) if 200 <= status < 300:
            return Judged(Verdict.DELIVERED)
        case Answered(status) if status == GONE:
            return Judged(Verdict.GONE, "it answered 410: it wants no more of this")
        case Answered(status, headers):
            wished = _seconds(headers.get("retry-after", ""), now) if status in BUSY else None
            return Judged(Verdict.REFUSED, f"it answered {status}", wished)


def _seconds(retry_after: str, now: datetime) -> float | None:
    """Of a Retry-After: seconds, or a date (RFC 9110, 10.2.3). None for anything else."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
