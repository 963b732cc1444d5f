"""How long a subscriber that fails is borne, without a clock or a database."""

from datetime import UTC, datetime, timedelta

import pytest

from milepost.notifications.patience import Health, Rules, after
from milepost.notifications.verdict import Judged, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILED, DELIVERED = Judged(Verdict.FAILED, "no answer"), Judged(Verdict.DELIVERED)
RULES = Rules(failures=5, rest=30, longest_rest=300)


def turn(health: Health, *judged: Judged) -> Health:
    """What is known after a turn on the lane; a new turn knows of no rest."""
    return after(Health(health.failures, health.failing_since), judged, NOW, RULES)


def test_four_failures_are_borne() -> None:
    assert turn(Health(), *[FAILED] * 4).rest == 0


def test_the_fifth_is_followed_by_a_rest_however_many_were_under_way_beside_it() -> None:
    health = turn(Health(), *[FAILED] * 8)
    assert (health.failures, health.rest) == (5, 30)


def test_each_rest_is_twice_as_long_up_to_a_bound() -> None:
    health = Health(failures=4)
    rests = []
    for _ in range(6):
        health = turn(health, FAILED)
        rests.append(health.rest)
    assert rests == [30, 60, 120, 240, 300, 300]


def test_one_success_ends_it() -> None:
    health = turn(Health(failures=9, failing_since=NOW), DELIVERED)
    assert (health.failures, health.rest, health.failing_since) == (0, 0, None)


def test_what_is_asked_for_is_granted_within_bounds() -> None:
    busy = Judged(Verdict.REFUSED, "it answered 429", 60)
    assert turn(Health(), busy).rest == 60
    assert turn(Health(), Judged(Verdict.REFUSED, "it answered 429", 10**6)).rest == 300
    assert turn(Health(), busy, busy, FAILED).failures == 1


def test_what_is_asked_for_holds_though_something_else_arrives() -> None:
    busy = Judged(Verdict.REFUSED, "it answered 429", 60)
    health = turn(Health(), busy, DELIVERED, FAILED)
    assert (health.failures, health.rest) == (0, 60)
    assert turn(Health(), Judged(Verdict.PUT_OFF, "enough", 60), DELIVERED).rest == 60


@pytest.mark.parametrize(("days", "given_up"), [(4.9, False), (5, True)])
def test_after_five_days_without_a_success_it_is_given_up(days: float, given_up: bool) -> None:
    since = NOW - timedelta(days=days)
    assert turn(Health(1, since), FAILED).given_up is given_up
