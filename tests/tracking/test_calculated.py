"""Calculated events: a pure function of facts and time, whatever came in which order."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.tracking import journey_files
from tests.tracking.order_free import START, poll, scan_at
from tests.tracking.settled_events import LIMITS, Settle, after, facts_of

from milepost.tracking.calculated import (
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
