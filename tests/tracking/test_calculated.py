"""Calculated events: a pure function of facts and time, whatever came in which order."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tracking import journey_files
from tests.tracking.order_free import START, adversaries, numbered, poll, scan_at, true_journey

from milepost.tracking.calculated import (
    Alarm,
    Calculated,
    Facts,
    Thresholds,
    calculated,
    frozen_thresholds,
    settled,
)
from milepost.tracking.events import Event, Observation
from milepost.tracking.expectation import CARRIER, MILEPOST, Expected
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import internal, merge
from milepost.tracking.vocabulary import EventType, ExceptionCode, Phase, StatusType

DAY = timedelta(days=1)
LIMITS = Thresholds()
Settle = Callable[[Sequence[Event], Sequence[Alarm], datetime], tuple[Event, ...]]


def facts_of(events: Sequence[Event]) -> tuple[Event, ...]:
    return tuple(event for event in events if event.event_type is not EventType.CALCULATED)


def is_sorting_delay(event: Event) -> bool:
    return event.scan_class == "SORTING_DELAY"


def alarms(
    *steps: tuple[float, str],
    days: float,
    asked: bool = True,
    promised: datetime | None = None,
    held: datetime | None = None,
) -> list[tuple[str, float]]:
    """Kind and day of each alarm that stands ``days`` after the announcement."""
    found = overdue(steps, days=days, asked=asked, promised=promised, held=held)
    return [(alarm.kind, (alarm.at - START) / DAY) for alarm in found.alarms]


def overdue(
    steps: Sequence[tuple[float, str]],
    *,
    days: float,
    asked: bool = True,
    promised: datetime | None = None,
    held: datetime | None = None,
    thresholds: Thresholds = LIMITS,
) -> Calculated:
    scans = [scan_at(int(day * 1440), f"C{place}", says) for place, (day, says) in enumerate(steps)]
    told = [internal(START, START), *([poll(24 * days, *scans)] if scans else [])]
    journey = read_journey(journey_files.merged(told), START)
    now = START + days * DAY
    return calculated(Facts(journey, promised, asked, held), now, thresholds)


@pytest.mark.parametrize(
    ("steps", "days", "expected"),
    [
        ((), 2.9, []),
        ((), 3, [("handover_delay", 3)]),
        ((), 25, [("handover_delay", 3), ("dropoff_expiration", 21)]),
        (((1, "labelled"),), 4, [("handover_delay", 3)]),
        (((1, "accepted"),), 3.9, []),
        (((1, "accepted"),), 5, [("sorting_delay", 4)]),
        (((1, "accepted"), (2, "sorted")), 4.9, []),
        (((1, "accepted"), (2, "in_transit")), 9.5, [("off_radar", 9)]),
        (((1, "accepted"), (2, "in_transit")), 12, [("off_radar", 9), ("delivery_delay", 11)]),
        (((1, "accepted"), (2, "customs")), 8.9, []),
        (((1, "accepted"), (2, "pup"), (6, "pup")), 8.9, []),
        (((1, "accepted"), (2, "pup"), (6, "pup")), 9, [("pup_expiration", 9)]),
        (((1, "accepted"), (2, "delivered")), 90, []),
        (((1, "accepted"), (2, "in_transit damaged error")), 90, []),
        (((1, "cancelled cancelled warning"),), 90, []),
    ],
    ids=lambda given: str(given)[:60],
)
def test_what_is_overdue(
    steps: Sequence[tuple[float, str]], days: float, expected: list[tuple[str, float]]
) -> None:
    assert alarms(*steps, days=days) == expected


def test_nothing_is_said_of_the_carrier_when_nobody_was_asked() -> None:
    assert alarms(days=6.9, asked=False) == []
    assert alarms(days=30, asked=False) == [("off_radar", 7)]


def test_a_promise_goes_before_the_lane_and_a_guess_is_none() -> None:
    day = (START + 4 * DAY).date()
    promised = Expected(CARRIER, day).promised_until
    assert promised is not None
    moving = ((1, "accepted"), (2, "in_transit"))
    assert alarms(*moving, days=5.1, promised=promised) == []
    (late,) = overdue(moving, days=6, promised=promised).alarms
    assert (late.kind, late.basis) == (ExceptionCode.DELIVERY_DELAY, "promise")
    assert Expected(MILEPOST, day).promised_until is None


def test_a_pick_up_point_keeps_it_as_long_as_the_carrier_says() -> None:
    waiting = ((1, "accepted"), (2, "pup"), (3, "pup"))
    for day, expected in ((4, 4), (12, 12), (2, 9), (1.5, 9)):  # one that was over is another's
        held = START + day * DAY
        (late,) = overdue(waiting, days=expected, held=held).alarms
        assert late.kind is ExceptionCode.PUP_EXPIRATION
        assert late.at == START + expected * DAY
        assert late.basis == ("promise" if expected == day else "default")
        assert overdue(waiting, days=expected - 0.1, held=held).next_deadline == late.at
    assert alarms((1, "accepted"), (2, "in_transit"), days=5, held=START + 4 * DAY) == []


def test_who_is_out_for_delivery_in_time_is_not_late() -> None:
    promised = START + 3 * DAY
    in_time = ((1, "accepted"), (3.4, "in_delivery"))
    too_late = ((1, "accepted"), (3.6, "in_delivery"))
    assert alarms(*in_time, days=5, promised=promised) == []
    assert alarms(*too_late, days=5, promised=promised) == [("delivery_delay", 3.5)]


def test_the_next_deadline_is_the_earliest_ahead() -> None:
    steps = ((1, "accepted"),)
    assert overdue(steps, days=2).next_deadline == START + 4 * DAY
    assert overdue(steps, days=5).next_deadline == START + 8 * DAY
    assert overdue(((1, "delivered"),), days=5).next_deadline is None


# The status: laid over the facts, and nothing else. ----------------------------------------------


def at_day(told: Sequence[Observation], day: float, settle: Settle = settled) -> Journey:
    return read_journey(after(told, START + day * DAY, settle=settle), START)


def after(
    told: Sequence[Observation],
    now: datetime,
    *,
    settle: Settle = settled,
    thresholds: Thresholds = LIMITS,
) -> tuple[Event, ...]:
    """The events after ``told`` in that order, settled each time and once more at ``now``."""
    events: tuple[Event, ...] = ()
    for observation in [*told, Observation("sandbox", "deadline", now, ())]:
        events = numbered(merge(events, observation))
        facts = Facts(read_journey(facts_of(events), START))
        standing = calculated(facts, now, thresholds, frozen_thresholds(events)).alarms
        events = journey_files.stored(numbered(settle(events, standing, now)))
    return events


def test_it_lies_over_the_last_fact_and_moves_nothing() -> None:
    told = [internal(START, START), poll(30, scan_at(1440, "A", "sorted"))]
    late = at_day(told, 5)
    assert (late.reading.phase, late.reading.exception) == (Phase.SORTED, "sorting_delay")
    assert late.reading.status_type is StatusType.WARNING
    assert late.status == late.entries[-1].status == "DELAYED"
    assert late.status_at == START + 4 * DAY == late.entries[-1].effective_at
    assert late.entries[-1].event.event_type is EventType.CALCULATED
    assert (late.ended_at, late.last_scan_at) == (None, START + DAY)


def test_the_next_scan_withdraws_it_and_the_timeline_forgets_it() -> None:
    told = [internal(START, START), poll(30, scan_at(1440, "A", "sorted"))]
    events = after(told, START + 5 * DAY)
    scans = scan_at(1440, "A", "sorted"), scan_at(6 * 1440, "B", "in_transit")
    events = merge(events, poll(24 * 6.1, *scans))
    journey = read_journey(facts_of(events), START)
    now = START + 6.1 * DAY
    events = settled(events, calculated(Facts(journey), now, LIMITS).alarms, now)
    found = read_journey(events, START)
    assert (found.status, [entry.event.scan_class for entry in found.entries]) == (
        "SHIPMENT_ON_ROUTE",
        ["ANNOUNCED", "A", "B"],
    )
    assert [event.withdrawn_at for event in found.withdrawn if is_sorting_delay(event)] == [now]


def test_an_alarm_stands_over_later_paper_but_not_over_a_driver() -> None:
    paper = [internal(START, START), poll(97, scan_at(4 * 1440, "A", "labelled"))]
    assert at_day(paper, 5).status == "ANNOUNCED_UNCOLLECTED"
    scans = scan_at(1440, "A", "in_transit"), scan_at(12 * 1440, "B", "in_delivery")
    found = at_day([internal(START, START), poll(289, *scans)], 12.5)
    assert found.status == "DRIVER_ON_ROUTE"
    assert "DELIVERY_DELAY" in [entry.event.scan_class for entry in found.entries]


def test_a_threshold_is_frozen_when_it_is_first_raised() -> None:
    told = [internal(START, START), poll(30, scan_at(1440, "A", "sorted"))]
    events = after(told, START + 5 * DAY)
    patient = replace(LIMITS, sorting=9 * DAY)
    journey = Facts(read_journey(facts_of(events), START))
    now = START + 5 * DAY
    assert calculated(journey, now, patient).alarms == ()
    (kept,) = calculated(journey, now, patient, frozen_thresholds(events)).alarms
    assert kept.at == START + 4 * DAY
    assert settled(events, [kept], now)[-1] is events[-1]


def test_one_that_returns_keeps_its_number() -> None:
    told = [internal(START, START), poll(30, scan_at(1440, "A", "sorted"))]
    events = after(told, START + 5 * DAY)
    (raised,) = filter(is_sorting_delay, events)
    gone = settled(events, [], START + 5 * DAY)
    assert [bool(event.withdrawn_at) for event in filter(is_sorting_delay, gone)] == [True]
    standing = calculated(Facts(read_journey(facts_of(gone), START)), START + 6 * DAY, LIMITS)
    (again,) = filter(is_sorting_delay, settled(gone, standing.alarms, START + 6 * DAY))
    assert (again.sequence, again.withdrawn_at) == (raised.sequence, None)


# Properties. -------------------------------------------------------------------------------------


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
