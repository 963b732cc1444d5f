"""How long a subscriber that fails is borne: it rests, and in the end it is given up. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from milepost.notifications.verdict import Judged, Verdict


@dataclass(frozen=True, slots=True)
class Rules:
    """From ``failures`` in a row on nothing is sent for ``rest`` seconds, twice as long each time
    up to ``longest_rest``; then one delivery tries whether it is back. After ``give_up`` without
    one success the connection is disabled."""

    failures: int = 5
    rest: float = 30.0
    longest_rest: float = 300.0
    give_up: timedelta = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class Health:
    """How a connection does: failures in a row, and since when.

    ``rest`` are seconds for which it is left alone, ``asked`` those of them that it asked for:
    what it takes meanwhile does not end them. ``given_up`` says that it is to be disabled,
    ``succeeded`` that it has taken something since its health was written down last.
    """

    failures: int = 0
    failing_since: datetime | None = None
    rest: float = 0.0
    reason: str = ""
    given_up: bool = False
    succeeded: bool = False
    asked: float = 0.0


def after(health: Health, judged: Iterable[Judged], now: datetime, rules: Rules) -> Health:
    """The health after these verdicts, in the order they came."""
    for one in judged:
        health = _after(health, one, now, rules)
    return health


def _after(health: Health, one: Judged, now: datetime, rules: Rules) -> Health:
    if one.verdict is Verdict.DELIVERED:
        reason = health.reason if health.asked else ""
        return Health(rest=health.asked, asked=health.asked, reason=reason, succeeded=True)
    if one.verdict is Verdict.PUT_OFF:
        asked = max(health.asked, one.wished or 0.0)
        return replace(health, rest=max(health.rest, asked), asked=asked, reason=one.reason)
    if not one.is_about_subscriber:
        return health
    # What was under way when the rest began says nothing new, and would double it at once.
    failures = health.failures + (health.rest == 0)
    since = health.failing_since or now
    given_up = one.verdict is Verdict.GONE or now - since >= rules.give_up
    rest = rest_after(failures, rules)
    asked = max(health.asked, min(one.wished or 0.0, rules.longest_rest))
    if one.verdict is Verdict.FORBIDDEN:
        # Nobody but the operator or the account can change that.
        rest = rules.longest_rest
    rest = max(rest, asked)
    return Health(failures, since, rest, one.reason, given_up, health.succeeded, asked)


def rest_after(failures: int, rules: Rules) -> float:
    """Seconds for which nothing is sent after so many failures in a row."""
    if failures < rules.failures:
        return 0.0
    doubled: float = 2.0 ** min(failures - rules.failures, 30)
    return min(rules.rest * doubled, rules.longest_rest)
