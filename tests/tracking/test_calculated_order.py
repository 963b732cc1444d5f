"""Calculated events whatever came in which order, and as time goes by."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tracking import journey_files
from tests.tracking.order_free import START, adversaries, true_journey
from tests.tracking.settled_events import LIMITS, Settle, after, facts_of

from milepost.tracking.calculated import (
    Alarm,
    Facts,
    calculated,
    settled,
)
from milepost.tracking.events import Event, Observation
from milepost.tracking.legs import read_journey
from milepost.tracking.vocabulary import EventType

DAY = timedelta(days=1)


def standing(events: Sequence[Event]) -> list[tuple[str, datetime]]:
    return sorted(
        (event.key, event.wording.moment.instant)
        for event in events
        if event.event_type is EventType.CALCULATED and event.withdrawn_at is None
    )


def check_order(
    told: list[Observation], now: datetime, settle: Settle, dice: random.Random
) -> None:
    """Any order, with repeats, leaves the same alarms standing: those of the facts alone."""
    facts = journey_files.merged(told)
    wanted = calculated(Facts(read_journey(facts, START)), now, LIMITS).alarms
    for _ in range(3):
        order = dice.sample(told, k=len(told)) + dice.choices(told, k=2)
        events = after(order, now, settle=settle)
        assert standing(events) == sorted((alarm.key, alarm.at) for alarm in wanted)
        assert len({event.key for event in events}) == len(events)


@settings(max_examples=60, deadline=None)
@given(told=adversaries(), hours=st.integers(0, 2000), seed=st.integers(0, 99))
def test_any_order_and_repeats_leave_the_same_standing(
    told: list[Observation], hours: int, seed: int
) -> None:
    check_order(told, START + timedelta(hours=hours), settled, random.Random(seed))


def never_withdrawn(
    events: Sequence[Event], alarms: Sequence[Alarm], at: datetime
) -> tuple[Event, ...]:
    """The planted fault: what was raised once stands for ever."""
    return tuple(replace(event, withdrawn_at=None) for event in settled(events, alarms, at))


def test_the_order_check_sees_an_alarm_that_outlives_a_disproof() -> None:
    dice = random.Random(3)

    def check() -> None:
        for _ in range(20):
            check_order(true_journey(dice), START + timedelta(days=30), never_withdrawn, dice)

    with pytest.raises(AssertionError):
        check()


@settings(max_examples=60, deadline=None)
@given(told=adversaries(), hours=st.lists(st.integers(0, 3000), min_size=2, max_size=6))
def test_time_alone_only_adds(told: list[Observation], hours: list[int]) -> None:
    """And the next deadline says when, to the minute."""
    facts = Facts(read_journey(journey_files.merged(told), START))
    before: set[Alarm] = set()
    for hour in sorted(hours):
        now = START + timedelta(hours=hour)
        found = calculated(facts, now, LIMITS)
        assert before <= set(found.alarms)
        before = set(found.alarms)
        if found.next_deadline is not None:
            assert found.next_deadline > now
            moment_before = found.next_deadline - timedelta(minutes=1)
            assert set(calculated(facts, max(now, moment_before), LIMITS).alarms) == before
            assert before < set(calculated(facts, found.next_deadline, LIMITS).alarms)


@settings(max_examples=80, deadline=None)
@given(told=adversaries(), hours=st.integers(0, 3000))
def test_an_alarm_only_lies_over(told: list[Observation], hours: int) -> None:
    """It never ends a leg, never changes a phase; the newest entry says what the parcel says."""
    events = after(told, START + timedelta(hours=hours))
    plain, found = read_journey(facts_of(events), START), read_journey(events, START)
    assert (found.ended_at, found.is_return, found.reading.phase) == (
        plain.ended_at,
        plain.is_return,
        plain.reading.phase,
    )
    assert (found.first_scan_at, found.last_scan_at) == (plain.first_scan_at, plain.last_scan_at)
    if found.ended_at is not None:
        assert standing(events) == []
    assert (found.entries[-1].status, found.entries[-1].shown) == (found.status, found.reading)
