"""When a delivery is tried again. Pure; seconds everywhere."""

from collections.abc import Sequence
from typing import assert_never

from milepost.errors import ConfigurationError
from milepost.notifications.verdict import Judged, Verdict

CLASSIC = (300.0, 600.0, 1200.0, 2400.0, *(3600.0,) * 6)
"""Sendcloud: ten retries with growing pauses, the first after 5 minutes, at most an hour apart."""
EVENTS = (30.0, 120.0, 600.0, 3600.0, 21600.0)
"""Sendcloud: up to five retries; its pauses are not published."""
JITTER = 0.1
LONGEST_PAUSE = 7 * 24 * 3600.0
LONGEST_WAIT = 6 * 3600.0
"""No subscriber's Retry-After puts a delivery off for longer."""


def pauses(setting: str, name: str) -> tuple[float, ...]:
    """As the operator writes them, between commas. Raises ConfigurationError, which names
    ``name``."""
    try:
        found = tuple(float(part) for part in setting.split(",") if part.strip())
    except ValueError:
        found = (-1.0,)
    if any(not 0 <= pause <= LONGEST_PAUSE for pause in found):
        raise ConfigurationError(
            f"{name} are the pauses between attempts: seconds from 0 to {LONGEST_PAUSE:.0f}, "
            "with commas between, such as 30,120,600"
        )
    return found


def next_try(
    pauses: Sequence[float], tried: int, wished: float | None, chance: float
) -> float | None:
    """Seconds until the next attempt after ``tried`` of them; None: that was the last.

    ``wished`` is the subscriber's Retry-After, which may put it off, and never makes it earlier.
    ``chance``, from 0 to 1, spreads what failed together by at most a tenth to either side.
    """
    if tried > len(pauses):
        return None
    pause = pauses[max(0, tried - 1)] * (1 + JITTER * (2 * chance - 1))
    return max(pause, min(wished or 0, LONGEST_WAIT))


def after(
    judged: Judged, tried: int, pauses: Sequence[float], chance: float
) -> tuple[str, float | None]:
    """What a delivery is after this verdict, and in how many seconds it is due again."""
    match judged.verdict:
        case Verdict.DELIVERED:
            return "delivered", None
        case Verdict.GONE | Verdict.REJECTED:
            return "failed", None
        case Verdict.WITHHELD:
            return "cancelled", None
        case Verdict.FORBIDDEN:
            return "pending", 0.0
        case Verdict.PUT_OFF:
            return "pending", judged.wished or 0.0
        case Verdict.REFUSED | Verdict.FAILED:
            pause = next_try(pauses, tried, judged.wished, chance)
            return ("failed", None) if pause is None else ("pending", pause)
        case _:
            assert_never(judged.verdict)
