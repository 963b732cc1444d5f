"""Reading stored events once more gives what telling them once more would have given."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests.tracking.order_free import START, timeline_bytes, true_journey

from milepost.tracking.events import Event, Observation, Scan, Wording
from milepost.tracking.legs import read_journey
from milepost.tracking.rereading import reread
from milepost.tracking.timeline import merge
from milepost.tracking.vocabulary import EventType, Phase, Reading

NEW = {"AR": Reading(Phase.SORTED), "EX": Reading(Phase.DELIVERED)}
VERSION = 7
Again = Callable[[tuple[Event, ...]], tuple[Event, ...]]


def by_new_rules(_: str, told: Wording) -> tuple[Reading, int] | None:
    return (NEW[told.raw_code], VERSION) if told.raw_code in NEW else None


def told_by_new_rules(scan: Scan) -> Scan:
    reading = NEW.get(scan.raw_code)
    if scan.event_type is not EventType.CARRIER or reading in (None, scan.reading):
        return scan
    return replace(scan, reading=reading, mapping_version=VERSION)


def merged(told: Sequence[Observation]) -> tuple[Event, ...]:
    events: tuple[Event, ...] = ()
    for observation in told:
        events = merge(events, observation)
    return events


def check(again: Again, seeds: range) -> None:
    for seed in seeds:
        dice = random.Random(seed)
        told = true_journey(dice)
        anew = [replace(one, scans=tuple(map(told_by_new_rules, one.scans))) for one in told]
        cut = dice.randrange(len(told))
        # What comes after the rules have changed is told by them, upon what was read once more.
        events = again(merged(told[:cut]))
        for observation in (*anew[cut:], Observation("sandbox", "mapping", START, ())):
            events = merge(events, observation)
        expected = merged(anew)
        timelines = [timeline_bytes(one, read_journey(one, START)) for one in (events, expected)]
        assert timelines[0] == timelines[1], seed


def test_it_makes_no_difference_when_the_rules_changed() -> None:
    check(lambda events: reread(events, by_new_rules), range(80))


def _shown_only(events: tuple[Event, ...]) -> tuple[Event, ...]:
    anew = reread(events, by_new_rules)
    return tuple(
        replace(event, revisions=old.revisions) for event, old in zip(anew, events, strict=True)
    )


def _standing_only(events: tuple[Event, ...]) -> tuple[Event, ...]:
    anew = reread(events, by_new_rules)
    return tuple(
        replace(event, replaced=old.replaced) for event, old in zip(anew, events, strict=True)
    )


@pytest.mark.parametrize("forgetful", [_shown_only, _standing_only, lambda events: events])
def test_what_is_not_read_once_more_is_noticed(forgetful: Again) -> None:
    with pytest.raises(AssertionError):
        check(forgetful, range(80))


def test_twice_is_once_and_no_difference_is_the_very_same() -> None:
    events = merged(true_journey(random.Random(3)))
    once = reread(events, by_new_rules)
    assert once is not events
    assert reread(once, by_new_rules) is once
    assert reread(events, lambda _, told: (told.reading, VERSION)) is events
    assert reread(events, lambda _, told: None) is events


def test_keys_times_and_words_stay() -> None:
    events = merged(true_journey(random.Random(4)))
    anew = reread(events, by_new_rules)
    for old, new in zip(events, anew, strict=True):
        assert (new.key, new.scan_class, new.sightings) == (old.key, old.scan_class, old.sightings)
        assert new.wording.moment == old.wording.moment
        assert new.wording.raw_text == old.wording.raw_text
