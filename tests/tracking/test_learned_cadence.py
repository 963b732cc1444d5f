"""A lane's past: what is learnt of it, and that asking by it finds scans sooner."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from tests.tracking.order_free import START
from tests.tracking.test_legs import read

from milepost.tracking.cadence import STRETCH, CadencePolicy, Plan, next_check
from milepost.tracking.calculated import Thresholds
from milepost.tracking.expectation import (
    ENOUGH_JOURNEYS,
    MOST_EFFORT,
    Expectation,
    estimated,
    next_scan,
    thresholds,
)
from milepost.tracking.journey import Journey
from milepost.tracking.lane_statistics import (
    LaneStatistics,
    Sample,
    from_document,
    learn,
    to_document,
)
from milepost.tracking.vocabulary import Phase

HOME = ZoneInfo("Europe/Amsterdam")
MONDAY = datetime(2026, 3, 2, tzinfo=HOME)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICY = CadencePolicy()
MOVING = read((60, "in_transit"))


def scan_times(dice: random.Random, days: int) -> list[datetime]:
    """Of one carrier: hubs from 2 to 5 and depots from 6 to 9, six days a week; never at noon."""
    found = []
    for day in range(days):
        midnight = MONDAY + day * DAY
        if midnight.weekday() == 6:
            continue
        for hour, width in ((2, 3), (6, 3)):
            if dice.random() < 0.7:
                found.append((midnight + dice.uniform(hour, hour + width) * HOUR).astimezone(UTC))
    return found


def past(count: int = 60, seed: int = 1) -> list[Sample]:
    """Parcels of weeks before: first scanned in the evening, delivered two working days later."""
    dice, samples = random.Random(seed), []
    for number in range(count):
        first = MONDAY + (number % 6) * DAY + 20 * HOUR
        days = 2 + (number % 5 == 0)
        end = first
        while days:
            end += DAY
            days -= end.weekday() != 6
        scans = [(first, Phase.ACCEPTED)]
        scans += [(at, Phase.IN_TRANSIT) for at in scan_times(dice, 12) if first < at < end]
        samples.append(Sample(first - 12 * HOUR, first, end - 8 * HOUR, scans))
    return samples


def mean_delay(
    happened: Sequence[datetime], expectation: Expectation | None, days: int
) -> tuple[float, int]:
    """Hours from a scan to the check that sees it, and the number of checks."""
    at = end = MONDAY.astimezone(UTC)
    end += days * DAY
    waiting, delays, checks, last = list(happened), [], 0, MOVING
    while at < end:
        checks += 1
        seen = [scan for scan in waiting if scan <= at]
        waiting = waiting[len(seen) :]
        delays += [(at - scan) / HOUR for scan in seen]
        if seen:
            last = replace(MOVING, last_scan_at=seen[-1])
        plan = next_check(
            last, at, POLICY, registered_at=START, checked_at=at, expectation=expectation
        )
        assert isinstance(plan, Plan)
        at = plan.due_at
    return sum(delays) / len(delays), checks


def saved(learn_from: Callable[[LaneStatistics], Expectation | None]) -> float:
    """By which share the mean delay is less than with as many checks evenly spaced."""
    dice = random.Random(11)
    days = 31
    expectation = learn_from(learn(past(), "Europe/Amsterdam"))
    shares = []
    for _ in range(12):
        happened = scan_times(dice, days)
        learnt, checks = mean_delay(happened, expectation, days)
        every = days * DAY / checks
        start = MONDAY.astimezone(UTC)
        waits = [(-((at - start) // -every) * every - (at - start)) / HOUR for at in happened]
        fixed = sum(waits) / len(waits)
        shares.append(1 - learnt / fixed)
    return sum(shares) / len(shares)


def test_as_many_checks_find_a_months_scans_sooner() -> None:
    assert saved(next_scan) > 0.25


def test_an_expectation_that_ignores_the_past_saves_nothing() -> None:
    """The planted fault: every hour of the week alike."""
    assert saved(lambda lane: Expectation(lane.zone, {})) < 0.05


def next_due(journey: Journey, at: datetime, expectation: Expectation | None) -> datetime:
    """Of a parcel that was scanned half a day ago, or registered just now."""
    if journey.last_scan_at is not None:
        journey = replace(journey, last_scan_at=at - 12 * HOUR)
    plan = next_check(journey, at, POLICY, registered_at=at, checked_at=at, expectation=expectation)
    assert isinstance(plan, Plan)
    return plan.due_at


def test_nobody_is_asked_at_hours_without_scans_and_often_when_one_is_due() -> None:
    expectation = next_scan(learn(past(), "Europe/Amsterdam"))
    noon, night = MONDAY + 36 * HOUR, MONDAY + 26 * HOUR
    at_noon = next_due(MOVING, noon, expectation) - noon
    assert at_noon > 2 * POLICY.in_transit
    assert next_due(MOVING, night, expectation) - night < at_noon / 1.8


@pytest.mark.parametrize("says", ["in_transit", "in_delivery", "announced"])
def test_no_pause_is_longer_than_the_policys(says: str) -> None:
    """At whatever hour, and whatever was learnt."""
    journey = read((60, says))
    never = Expectation("UTC", dict.fromkeys(Phase, (0.01,) * 24))
    always = Expectation("UTC", dict.fromkeys(Phase, (50.0,) * 24))
    plain = next_due(journey, MONDAY, None) - MONDAY
    for hour in range(0, 168, 5):
        at = MONDAY + hour * HOUR + timedelta(minutes=7)
        longest = next_due(journey, at, never) - at
        assert longest == min(max(plain, POLICY.longest), plain * STRETCH)
        assert next_due(journey, at, always) - at == plain / MOST_EFFORT


def test_too_little_past_teaches_nothing() -> None:
    lane = learn(past(5), "Europe/Amsterdam")
    assert next_scan(lane) is None
    assert estimated(MOVING, lane) is None
    assert estimated(MOVING, None) is None
    assert thresholds(Thresholds(), lane) == thresholds(Thresholds(), None) == Thresholds()


def test_thresholds_are_what_hardly_any_took() -> None:
    lane = learn(past(), "Europe/Amsterdam")
    learnt = thresholds(Thresholds(), lane)
    assert learnt.learned == {"handover", "sorting", "off_radar", "delivery"}
    assert learnt.handover == 1 * DAY, "half a day, and no less than a day"
    assert 2 * DAY < learnt.delivery < 6 * DAY < Thresholds().delivery
    assert learnt.pick_up == Thresholds().pick_up


def test_a_window_is_counted_in_the_lanes_working_days() -> None:
    """Scanned on a Friday: two working days later is Monday, three is Tuesday."""
    lane = learn(past(), "Europe/Amsterdam")
    assert [lane.delivers_on(day) for day in range(7)] == [True] * 6 + [False]
    friday = (MONDAY + 4 * DAY + 18 * HOUR).astimezone(UTC)
    found = estimated(replace(MOVING, first_scan_at=friday), lane)
    assert found is not None
    assert (found.source, found.day) == ("milepost", date(2026, 3, 9))
    assert found.earliest == datetime(2026, 3, 9, tzinfo=HOME)
    assert found.latest == datetime(2026, 3, 10, 23, 59, 59, tzinfo=HOME)
    assert found.promised_until is None
    assert estimated(read((60, "delivered")), lane) is None
    assert len(past()) >= ENOUGH_JOURNEYS


def test_statistics_come_back_from_storage() -> None:
    lane = learn(past(), "Europe/Amsterdam")
    assert from_document(orjson.loads(orjson.dumps(to_document(lane)))) == lane
    assert sum(lane.hours) == sum(lane.weekdays) == lane.scans > 200
    assert learn([], "UTC") == LaneStatistics("UTC")
