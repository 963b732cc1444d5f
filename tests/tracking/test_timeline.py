"""Merging: one scan is one event, in any order, from anyone, in any words."""

import random
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
    check_order_free,
    numbered,
    poll,
    scan_at,
    true_journey,
)

from milepost.tracking.events import Event, Observation
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.telling import REVISIONS_KEPT
from milepost.tracking.timeline import changes, internal, merge, place_of

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


def test_after_is_stable_over_storage() -> None:
    """The helper of the property itself: a journey told twice gives the same bytes."""
    told = true_journey(random.Random(3))
    assert after(told, merge) == after([*told, *told], merge)
