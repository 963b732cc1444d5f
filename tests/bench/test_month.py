"""A short month: half the questions of a two-hour poller find the median scan no later.

Lanes are known from the month before: with so few parcels, most of a month from its first day on
would be the days before anything is learnt.
"""

from dataclasses import replace

from bench.month.__main__ import MOST_CALLS, Mix
from bench.month.asking import SOON, Figures, Learn, Month
from bench.month.journeys import DAY, OVERNIGHT, parcels

from milepost.tracking.expectation import Expectation, next_scan
from milepost.tracking.lane_statistics import LaneStatistics

PARCELS = 600


def alike(lane: LaneStatistics) -> Expectation:
    """The planted fault: every hour is like the others, whatever was learnt."""
    return Expectation(lane.zone, {})


def month(learn_from: Learn) -> tuple[Figures, Figures]:
    mix = Mix("known", learn_from=learn_from, is_known=True, learn_every=7 * DAY)
    return mix.run(PARCELS)


def is_enough(ours: Figures, fixed: Figures) -> bool:
    fewer = ours.requests <= MOST_CALLS * fixed.requests
    return fewer and ours.hours(0.5) <= fixed.hours(0.5)


def test_half_the_questions_find_the_median_scan_no_later() -> None:
    ours, fixed = month(next_scan)
    assert ours.changes == fixed.changes > 4 * PARCELS
    assert is_enough(ours, fixed)


def test_a_cadence_that_ignores_what_was_learnt_is_caught() -> None:
    assert not is_enough(*month(alike))


def test_requests_with_room_find_scans_sooner_for_fewer_requests() -> None:
    ten = replace(OVERNIGHT, batch_size=10)
    made = parcels(ten, PARCELS // 2, 1)
    alone, filled = (Month(ten, soon=soon, learn_every=7 * DAY).run(made) for soon in (0.0, SOON))
    assert filled.requests < alone.requests / 2
    assert filled.hours(0.5) < alone.hours(0.5)


def test_the_same_seed_is_the_same_month() -> None:
    first, again = (parcels(OVERNIGHT, 50, 3) for _ in range(2))
    assert [(one.registered, one.scans) for one in first] == [
        (one.registered, one.scans) for one in again
    ]
