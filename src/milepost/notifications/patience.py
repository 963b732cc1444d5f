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

    ``rest`` are seconds for which it is left alone, ``given_up`` says that it is to be disabled,
    ``succeeded`` that it has taken something of what was judged last.
    """

    failures: int = 0
    failing_since: datetime | None = None
    rest: float = 0.0
    reason: str = ""
    given_up: bool = False
    succeeded: bool = False


def after(health: Health, judged: Iterable[Judged], now: datetime, rules: Rules) -> Health:
    """The health after these verdicts, in the order they came."""
    health = replace(health, succeeded=False)
    for one in judged:
        health = _after(health, one, now, rules)
    return health


def _after(health: Health, one: Judged, now: datetime, rules: Rules) -> Health:
    if one.verdict is Verdict.DELIVERED:
        return Health(succeeded=True)
    if one.verdict is Verdict.PUT_OFF:
        return replace(health, rest=max(health.rest, one.wished or 0.0), reason=one.reason)
    if not one.is_about_subscriber:
        return health
    # What was under way when the rest began says nothing new, and would double it at once.
    failures = health.failures + (health.rest == 0)
    since = health.failing_since or now
    given_up = one.verdict is Verdict.GONE or now - since >= rules.give_up
    rest = rest_after(failures, rules)
    if one.verdict is Verdict.FORBIDDEN:
        # Nobody but the operator or the account can change that.
        rest = rules.longest_rest
    elif one.wished:
        rest = max(rest, min(one.wished, rules.longest_rest))
    return Health(failures, since, rest, one.reason, given_up, health.succeeded)


def rest_after(failures: int, rules: Rules) -> float:
    """Seconds for which nothing is sent after so many failures in a row."""
    if failures < rules.failures:
        return 0.0
    doubled: float = 2.0 ** min(failures - rules.failures, 30)
    return min(rules.rest * doubled, rules.longest_rest)
