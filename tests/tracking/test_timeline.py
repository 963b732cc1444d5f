"""Merging: one scan is one event, in any order, from anyone, in any words."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tracking import journey_files
from tests.tracking.order_free import (
    START,
    adversaries,
    after,
    carrier_events,
    check_order_free,
    scan_at,
    true_journey,
)

from milepost.tracking.events import Event, Observation, Scan
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.telling import REVISIONS_KEPT
from milepost.tracking.timeline import Changes, changes, internal, merge, place_of


def poll(hour: float, *scans: Scan, source: str = "poll", complete: bool = True) -> Observation:
    placed = tuple(replace(scan, position=place) for place, scan in enumerate(scans))
    return Observation("sandbox", source, START + timedelta(hours=hour), placed, complete)


def numbered(events: Sequence[Event]) -> tuple[Event, ...]:
    taken = max((event.sequence for event in events), default=0)
    fresh = [event.key for event in events if not event.sequence]
    return tuple(
        event if event.sequence else replace(event, sequence=taken + 1 + fresh.index(event.key))
        for event in events
    )


def keys(events: Sequence[Event]) -> list[str]:
    return [event.key.split("|", 1)[1] for event in carrier_events(events)]


# The property: 1,000 shuffles of believable journeys, and whatever Hypothesis thinks of. ---------


def test_a_thousand_shuffles_give_byte_identical_timelines() -> None:
    corrected = 0
    for seed in range(50):
        dice = random.Random(seed)
        told = true_journey(dice)
        check_order_free(told, merge, shuffles=20, dice=dice)
        corrected += sum(len(event.replaced) for event in journey_files.merged(told))
    assert corrected > 10, "the journeys have lost their corrections"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(told=adversaries(), dice=st.randoms(use_true_random=False))
def test_any_observations_in_any_order(told: list[Observation], dice: random.Random) -> None:
    check_order_free(told, merge, shuffles=4, dice=dice)


@settings(max_examples=150, deadline=None)
@given(told=adversaries())
def test_the_newest_entry_is_the_status(told: list[Observation]) -> None:
    journey = read_journey(journey_files.merged(told), START)
    newest = journey.entries[-1]
    assert newest.effective_at == max(entry.effective_at for entry in journey.entries)
    assert (newest.status, newest.shown) == (journey.status, journey.reading)
    assert journey.status_at <= newest.effective_at


@settings(max_examples=150, deadline=None)
@given(told=adversaries())
def test_a_repeat_adds_nothing(told: list[Observation]) -> None:
    events = numbered(journey_files.merged(told))
    for observation in told:
        again = merge(events, observation)
        assert again == events
        assert all(one is other for one, other in zip(events, again, strict=True))
        assert not changes(events, again)


@settings(max_examples=100, deadline=None)
@given(told=adversaries())
def test_every_told_scan_is_kept(told: list[Observation]) -> None:
    """Corrected ones too: behind the event that took their place."""
    alone = {event.key for observation in told for event in merge((), observation)}
    events = journey_files.merged(told)
    assert {each.key for event in events for each in (event, *event.replaced)} == alone


# Broken rules that the property must catch. ------------------------------------------------------


def naive_merge(events: Sequence[Event], observation: Observation) -> tuple[Event, ...]:
    """Plants the usual bug: the wording that arrived last is shown."""
    merged = merge(events, observation)
    told = {event.key: event.wording for event in merge((), observation)}
    shown = (
        replace(event, wording=told[event.key], revisions=()) if event.key in told else event
        for event in merged
    )
    return tuple(sorted(shown, key=place_of))


def hasty_merge(events: Sequence[Event], observation: Observation) -> tuple[Event, ...]:
    """Plants another: what the answer at hand lacks is forgotten."""
    merged = merge(events, observation)
    if not observation.complete:
        return merged
    told = {event.key for event in merge((), observation)}
    return tuple(event for event in merged if event.key in told or not event.carrier_code)


def arrival_fold(events: Sequence[Event], announced_at: datetime) -> Journey:
    """And a third: the status is that of the event recorded last."""
    journey = read_journey(events, announced_at)
    last = max(journey.entries, key=lambda entry: entry.event.sequence)
    return replace(journey, status=last.status, reading=last.event.wording.reading)


@pytest.mark.parametrize("planted", [naive_merge, hasty_merge])
def test_the_property_catches_a_planted_merge(planted: object) -> None:
    dice = random.Random(7)
    with pytest.raises(AssertionError):
        check_order_free(true_journey(dice), planted, shuffles=25, dice=dice)  # type: ignore[arg-type]


def test_the_property_catches_a_fold_in_arrival_order() -> None:
    dice = random.Random(7)
    with pytest.raises(AssertionError):
        check_order_free(true_journey(dice), merge, shuffles=25, dice=dice, read=arrival_fold)


# Identity. ---------------------------------------------------------------------------------------


def test_place_wording_and_mapping_are_not_identity() -> None:
    scan = scan_at(0, "AR", "sorted")
    other = replace(scan, raw_text="Anders", mapping_version=2, scan_class=" ar ")
    (event,) = merge(merge((), poll(1, scan)), poll(2, other, source="push"))
    assert [wording.raw_text for wording in event.revisions] == ["Text AR"]
    assert [(each.source, each.complete) for each in event.sightings] == [
        ("poll", True),
        ("push", True),
    ]
    assert event.first_seen == START + timedelta(hours=1)


def test_class_and_minute_are_identity() -> None:
    scans = scan_at(0, "AR", "sorted"), scan_at(1, "AR", "sorted"), scan_at(0, "DP", "sorted")
    assert len(merge((), poll(1, *scans))) == 3


def test_another_carrier_tells_another_scan() -> None:
    events = merge((), poll(1, scan_at(0, "AR", "sorted")))
    told = replace(poll(1, scan_at(0, "AR", "sorted")), carrier_code="other")
    assert len(merge(events, told)) == 2


def test_registration_is_one_event_even_if_its_time_is_changed() -> None:
    once = merge((), internal(START, START))
    (event,) = merge(once, internal(START + timedelta(hours=-2), START + timedelta(hours=1)))
    assert event.carrier_code == ""
    assert event.wording.raw_text == "Announced"
    assert event.effective_at == START - timedelta(hours=2)


def test_shown_is_the_latest_then_the_better_source_then_the_greater_text() -> None:
    scan = scan_at(0, "AR", "sorted")
    told = [
        poll(2, replace(scan, raw_text="a"), source="poll"),
        poll(2, replace(scan, raw_text="b"), source="poll"),
        poll(2, replace(scan, raw_text="c"), source="file"),
        poll(1, replace(scan, raw_text="d"), source="push"),
    ]
    (event,) = journey_files.merged(told)
    texts = [event.wording.raw_text, *(wording.raw_text for wording in event.revisions)]
    assert texts == ["b", "a", "c", "d"]


def test_revisions_are_bounded_and_still_free_of_order() -> None:
    scan = scan_at(0, "AR", "sorted")
    told = [poll(hour, replace(scan, raw_text=f"asked at {hour}")) for hour in range(60)]
    (event,) = journey_files.merged(told)
    assert len(event.revisions) == REVISIONS_KEPT
    dice = random.Random(1)
    check_order_free(told, merge, shuffles=10, dice=dice)


def test_text_that_cannot_be_stored_is_made_storable() -> None:
    scan = replace(
        scan_at(0, "A\0R", "sorted"), raw_text="a\0b\ud800", raw_fields={"x\0": "\udfff"}
    )
    (event,) = merge((), poll(1, scan))
    assert "\0" not in event.key + event.wording.raw_text + "".join(event.wording.raw_fields)
    (event.wording.raw_text + "".join(event.wording.raw_fields.values())).encode()


# Replacement. ------------------------------------------------------------------------------------

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


@settings(max_examples=150, deadline=None)
@given(told=adversaries())
def test_writing_only_the_changes_gives_the_same_timeline(told: list[Observation]) -> None:
    """Answers arrive in the order of asking here, as they do from one source."""
    told = sorted(told, key=lambda observation: observation.observed_at)
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


def test_a_sixty_event_parcel_merges_and_reads_in_about_a_millisecond() -> None:
    scans = [scan_at(minute * 37, f"C{minute % 9}", "in_transit") for minute in range(60)]
    events = numbered(merge((), poll(40, *scans)))
    best = 1.0
    for hour in range(20):
        answer = poll(41 + hour, *scans)
        begun = time.perf_counter()
        read_journey(merge(events, answer), START)
        best = min(best, time.perf_counter() - begun)
    assert best < 0.01, f"{best * 1000:.1f} ms"


def test_after_is_stable_over_storage() -> None:
    """The helper of the property itself: a journey told twice gives the same bytes."""
    told = true_journey(random.Random(3))
    assert after(told, merge) == after([*told, *told], merge)
