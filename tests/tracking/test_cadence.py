"""When a carrier is asked next."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.tracking.order_free import START
from tests.tracking.test_legs import read

from milepost.tracking.cadence import (
    URGENCY_DELIVERY,
    URGENCY_ENDED,
    URGENCY_TRANSIT,
    URGENCY_WAITING,
    CadencePolicy,
    Ended,
    Plan,
    Stop,
    backoff,
    next_check,
)
from milepost.tracking.journey import Journey

POLICY = CadencePolicy()
HOUR = timedelta(hours=1)
WAITING = read()
MOVING = read((60, "in_transit"))
IN_DELIVERY = read((60, "in_delivery"))
DELIVERED = read((60, "delivered"))
NOW = START + timedelta(hours=5)


def decide(
    journey: Journey,
    now: datetime = NOW,
    *,
    checked_at: datetime | None = NOW,
    misses: int = 0,
    jitter: float = 0.0,
    policy: CadencePolicy = POLICY,
) -> Plan | Stop | Ended:
    return next_check(
        journey,
        now,
        policy,
        registered_at=START,
        checked_at=checked_at,
        misses=misses,
        jitter=jitter,
    )


@pytest.mark.parametrize(
    ("journey", "wait", "urgency"),
    [
        (WAITING, 6 * HOUR, URGENCY_WAITING),
        (MOVING, 2 * HOUR, URGENCY_TRANSIT),
        (IN_DELIVERY, 0.75 * HOUR, URGENCY_DELIVERY),
        (DELIVERED, 20 * HOUR, URGENCY_ENDED),
    ],
    ids=["not scanned", "in transit", "in delivery", "a day after its end"],
)
def test_defaults(journey: Journey, wait: timedelta, urgency: int) -> None:
    assert decide(journey) == Plan(NOW + wait, urgency)


def test_urgency_puts_the_doorstep_first() -> None:
    assert URGENCY_DELIVERY < URGENCY_TRANSIT < URGENCY_WAITING < URGENCY_ENDED


def test_a_new_parcel_is_due_at_once() -> None:
    assert decide(WAITING, checked_at=None) == Plan(NOW, URGENCY_WAITING)


def test_an_overdue_parcel_is_due_now_not_in_the_past() -> None:
    assert decide(MOVING, checked_at=NOW - 30 * HOUR) == Plan(NOW, URGENCY_TRANSIT)


def test_one_check_after_the_end_then_none() -> None:
    late = START + 26 * HOUR
    assert decide(DELIVERED, late, checked_at=NOW) == Plan(late, URGENCY_ENDED)
    assert isinstance(decide(DELIVERED, late, checked_at=late), Ended)


def test_the_check_after_the_end_is_tried_a_few_times() -> None:
    late = START + 26 * HOUR
    again = decide(DELIVERED, late, checked_at=NOW, misses=1)
    assert isinstance(again, Plan)
    assert again.due_at > late
    assert isinstance(decide(DELIVERED, late, checked_at=NOW, misses=5), Ended)


def test_stops() -> None:
    month = START + timedelta(days=30)
    assert isinstance(decide(WAITING, month - HOUR, checked_at=month - HOUR), Plan)
    assert isinstance(decide(WAITING, month, checked_at=month), Stop)
    last = START + HOUR + timedelta(days=60)
    assert isinstance(decide(MOVING, last - HOUR, checked_at=last - HOUR), Plan)
    stop = decide(MOVING, last, checked_at=last)
    assert stop == Stop("The carrier's last scan is 60 days old.")


def test_who_was_never_answered_is_not_given_up_at_the_first_fault() -> None:
    """It may have waited for credentials for a month."""
    late = START + timedelta(days=31)
    assert isinstance(decide(WAITING, late, checked_at=None, misses=1), Plan)
    stop = decide(WAITING, late, checked_at=None, misses=5)
    assert stop == Stop("The carrier gave no answer about the parcel in 30 days.")


def test_misses_back_off_to_a_limit() -> None:
    waits = [backoff(2 * HOUR, misses, 0.0) / HOUR for misses in range(1, 8)]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8]
    assert decide(MOVING, misses=3) == Plan(NOW + 2 * HOUR, URGENCY_TRANSIT)
    assert backoff(2 * HOUR, 1, 0.999) < backoff(2 * HOUR, 2, 0.0)


def test_jitter_is_early_for_checks_and_late_for_misses() -> None:
    for jitter in (0.1, 0.5, 0.999):
        check = decide(MOVING, jitter=jitter)
        assert isinstance(check, Plan)
        assert 1.8 * HOUR <= check.due_at - NOW < 2 * HOUR
        miss = decide(MOVING, misses=3, jitter=jitter)
        assert isinstance(miss, Plan)
        assert 2 * HOUR < miss.due_at - NOW < 2.5 * HOUR


def test_a_carrier_may_be_quicker() -> None:
    fast = replace(POLICY, in_transit=timedelta(seconds=2))
    assert decide(MOVING, policy=fast) == Plan(NOW + timedelta(seconds=2), URGENCY_TRANSIT)
