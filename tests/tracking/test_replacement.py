"""Corrections: a scan told differently takes the old one's place, in doubt there are two."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from tests.tracking import journey_files
from tests.tracking.order_free import (
    START,
    adversaries,
    keys,
    numbered,
    poll,
    scan_at,
)

from milepost.tracking.events import Event, Observation, Scan
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import Changes, changes, merge

ARRIVED = scan_at(0, "AR", "sorted")
CORRECTED = scan_at(15, "AR", "sorted")
RECODED = scan_at(0, "DP", "in_transit")


def test_a_corrected_minute_replaces_and_inherits_the_id() -> None:
    before = numbered(merge((), poll(1, ARRIVED)))
    before = tuple(replace(event, recorded_at=START) for event in before)
    (event,) = merge(before, poll(2, CORRECTED))
    assert (event.sequence, event.recorded_at) == (1, START)
    assert [old.key for old in event.replaced] == [before[0].key]
    found = changes(before, (event,))
    assert (found.new, found.revised, found.dropped) == ((), (event,), ())
    assert found.dropped_keys == (before[0].key,)


def test_another_class_in_the_same_minute_replaces() -> None:
    events = merge(merge((), poll(1, ARRIVED)), poll(2, RECODED))
    assert keys(events) == ["DP|2026-03-02T08:00"]


def test_a_replaced_event_that_is_told_again_stands_again() -> None:
    before = numbered(merge(numbered(merge((), poll(1, ARRIVED))), poll(2, CORRECTED)))
    after_all = merge(before, poll(3, ARRIVED, CORRECTED))
    assert [(event.sequence, len(event.replaced)) for event in after_all] == [(0, 0), (1, 0)]
    assert [event.key for event in changes(before, numbered(after_all)).new] == [after_all[0].key]


def test_a_stored_successor_keeps_its_own_id_and_the_old_row_goes() -> None:
    pushed = poll(1.5, CORRECTED, source="push", complete=False)
    before = numbered(merge(numbered(merge((), poll(1, ARRIVED))), pushed))
    assert len(before) == 2
    (event,) = merge(before, poll(2, CORRECTED))
    assert (event.sequence, changes(before, (event,)).dropped) == (2, (1,))


@pytest.mark.parametrize(
    "second",
    [
        poll(2),
        poll(2, complete=True),
        poll(2, scan_at(7, "XX", "in_transit")),
        poll(2, CORRECTED, complete=False),
        poll(2, CORRECTED, source="push"),
        poll(2, scan_at(24 * 60 + 1, "AR", "sorted")),
        poll(2, CORRECTED, scan_at(30, "AR", "sorted")),
        poll(2, RECODED, scan_at(0, "EX", "sorted")),
    ],
    ids=[
        "nothing",
        "empty",
        "another class and minute",
        "incomplete answer",
        "another source",
        "more than a day apart",
        "two of the class",
        "two in the minute",
    ],
)
def test_in_doubt_the_old_event_stays(second: Observation) -> None:
    events = merge(merge((), poll(1, ARRIVED)), second)
    assert "AR|2026-03-02T08:00" in keys(events)


@pytest.mark.parametrize("other", [CORRECTED, RECODED], ids=["class", "minute"])
def test_an_event_once_told_beside_another_is_not_its_correction(other: Scan) -> None:
    later = scan_at(100, "XX", "in_transit")
    for told in (
        [poll(1, ARRIVED, other), poll(2, other, later)],
        [poll(1, ARRIVED), poll(2, ARRIVED, other), poll(3, other, later)],
    ):
        assert len(keys(journey_files.merged(told))) == 3


def test_several_corrections_at_once_are_paired_in_time_order() -> None:
    first = poll(1, ARRIVED, scan_at(5, "AR", "sorted"))
    events = merge(
        merge((), first), poll(2, scan_at(60, "AR", "sorted"), scan_at(65, "AR", "sorted"))
    )
    assert [event.replaced[0].wording.moment.home_minute[-5:] for event in events] == [
        "08:00",
        "08:05",
    ]


def test_a_replacement_holds_when_both_are_pruned_from_later_answers() -> None:
    told = [poll(1, ARRIVED), poll(2, CORRECTED), poll(3, scan_at(90, "OD", "in_delivery"))]
    assert keys(journey_files.merged(told)) == ["AR|2026-03-02T08:15", "OD|2026-03-02T09:30"]


# What is worth a write. --------------------------------------------------------------------------


def test_being_told_again_is_no_change() -> None:
    before = numbered(merge((), poll(1, ARRIVED)))
    again = merge(before, poll(2, ARRIVED))
    assert again != before
    assert not changes(before, again)
    assert changes(before, again) == Changes()


@pytest.mark.parametrize("new", [CORRECTED, RECODED], ids=["class", "minute"])
def test_a_sighting_that_moved_is_written_beside_a_new_scan_like_it(new: Scan) -> None:
    """Else storage would say the old scan was last told before the new one came."""
    before = numbered(merge((), poll(1, ARRIVED, scan_at(3, "XX", "in_transit"))))
    told = poll(2, ARRIVED, scan_at(3, "XX", "in_transit"), new)
    both = numbered(merge(before, told))
    found = changes(before, both)
    assert [event.scan_class for event in found.new] == [new.scan_class]
    assert keys(found.revised) == ["AR|2026-03-02T08:00"]


_TOLD_BESIDE_LATER = [
    poll(0, RECODED),
    poll(1, ARRIVED, complete=False),
    poll(2, RECODED, complete=False),
    poll(3, ARRIVED),
]
"""Beside each other in answers of which none was a new telling: only then a complete one."""

_LISTED_ELSEWHERE = [
    poll(0, ARRIVED, scan_at(0, "EX", "sorted")),
    replace(poll(1), scans=(replace(ARRIVED, position=3),)),
]


@settings(max_examples=150, deadline=None)
@example(told=_TOLD_BESIDE_LATER)
@example(told=_LISTED_ELSEWHERE)
@given(told=adversaries())
def test_writing_only_the_changes_gives_the_same_timeline(told: list[Observation]) -> None:
    """Answers arrive in the order of asking here, as they do from one source, no two at once."""
    told = [
        replace(observation, observed_at=observation.observed_at + timedelta(microseconds=place))
        for place, observation in enumerate(sorted(told, key=lambda each: each.observed_at))
    ]
    rows: dict[int, Event] = {}
    for observation in told:
        held = tuple(rows.values())
        merged = numbered_after(merge(held, observation), max(rows, default=0))
        found = changes(held, merged)
        for sequence in found.dropped:
            del rows[sequence]
        rows |= {event.sequence: event for event in (*found.new, *found.revised)}
        assert {event.key for event in rows.values()} == {event.key for event in merged}
    assert shown(tuple(rows.values())) == shown(journey_files.merged(told))


def numbered_after(events: Sequence[Event], taken: int) -> tuple[Event, ...]:
    fresh = [event.key for event in events if not event.sequence]
    return tuple(
        event if event.sequence else replace(event, sequence=taken + 1 + fresh.index(event.key))
        for event in events
    )


def shown(events: Sequence[Event]) -> object:
    return journey_files.outcome(read_journey(events, START))
