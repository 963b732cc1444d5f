"""The fold over facts: ends, returns, new legs, overruled facts."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tracking import journey_files
from tests.tracking.order_free import START, scan_at

from milepost.tracking.events import Observation, Scan
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import internal
from milepost.tracking.vocabulary import Phase

DELIVERED_AT = 3 * 1440
RIGHT_AWAY = ("DELIVERED", "COLLECTED_BY_CUSTOMER")
HARMLESS_BEFORE = (
    "announced",
    "labelled",
    "accepted",
    "sorted",
    "in_transit missing error",
    "customs",
    "in_delivery",
    "attempted refused error receiver",
    "pup none success pup",
    "delivered",
    "cancelled cancelled warning",
    "announcing announcement_failed error",
    "unknown unknown warning unknown",
    "none none success additional_information",
    "none changed warning updated",
)
HARMLESS_AFTER = (
    "sorted",
    "in_transit",
    "in_transit missing error",
    "customs",
    "cancelled cancelled warning",
    "delivered none warning partly",
    "unknown unknown warning unknown",
    "none none success additional_information",
    "none changed warning updated",
)


def read(*steps: tuple[float, str] | Scan, hours_seen: float = 10_000) -> Journey:
    """The journey of ``(minute, reading)`` steps, all told in one answer."""
    scans = tuple(
        step if isinstance(step, Scan) else scan_at(int(step[0]), f"C{place}", step[1])
        for place, step in enumerate(steps)
    )
    seen = START + timedelta(hours=hours_seen)
    told = [internal(START, START), Observation("sandbox", "poll", seen, scans, complete=True)]
    return read_journey(journey_files.merged(told), START)


def returning(minute: int, says: str) -> Scan:
    return replace(scan_at(minute, "R", says), leg="return")


def days(count: float) -> float:
    return DELIVERED_AT + count * 1440


late_scans = st.one_of(
    st.tuples(st.integers(-20 * 1440, DELIVERED_AT - 1), st.sampled_from(HARMLESS_BEFORE)),
    st.tuples(st.integers(DELIVERED_AT + 1, 90 * 1440), st.sampled_from(HARMLESS_AFTER)),
    st.tuples(
        st.integers(DELIVERED_AT + 1, DELIVERED_AT + 119), st.sampled_from(("in_delivery", "pup"))
    ),
)


@settings(max_examples=300, deadline=None)
@given(late=st.lists(late_scans, max_size=6))
def test_a_late_scan_never_undelivers(late: list[tuple[int, str]]) -> None:
    journey = read((60, "accepted"), (DELIVERED_AT, "delivered"), *late)
    assert journey.status in RIGHT_AWAY
    assert journey.ended_at is not None
    delivered = START + timedelta(minutes=DELIVERED_AT)
    since = {entry.status for entry in journey.entries if entry.effective_at >= delivered}
    assert since <= set(RIGHT_AWAY)


def test_what_does_not_move_shows_the_status_in_force() -> None:
    journey = read((60, "accepted"), (DELIVERED_AT, "delivered"), (days(1), "in_transit"))
    late = journey.entries[-1]
    assert (late.status, late.moves, late.overruled) == ("DELIVERED", False, True)
    assert late.shown.phase is Phase.DELIVERED
    assert late.event.wording.reading.phase is Phase.IN_TRANSIT


@pytest.mark.parametrize(
    ("says", "wait", "leg", "status"),
    [
        ("accepted", 2.99, 1, "DELIVERED"),
        ("accepted", 3, 2, "TO_SORTING"),
        ("announced", 30, 2, "ANNOUNCED"),
        ("labelled", 5, 2, "ANNOUNCED"),
        ("ready_to_send", 5, 2, "READY_TO_SEND"),
        ("dropped", 5, 2, "TO_SORTING"),
        ("accepted", 30.01, 1, "DELIVERED"),
        ("in_transit", 5, 1, "DELIVERED"),
        ("in_delivery", 1.9 / 24, 1, "DELIVERED"),
        ("in_delivery", 2 / 24, 1, "DRIVER_ON_ROUTE"),
        ("attempted", 1, 1, "DELIVERY_FAILED"),
        ("pup", 40, 1, "AWAITING_CUSTOMER_PICKUP"),
    ],
)
def test_what_may_follow_a_delivery(says: str, wait: float, leg: int, status: str) -> None:
    journey = read((60, "accepted"), (DELIVERED_AT, "delivered"), (days(wait), says))
    assert (journey.entries[-1].leg, journey.status) == (leg, status)
    assert (journey.ended_at is None) == (status != "DELIVERED")


def test_a_delivery_told_twice_is_followed_from_the_second() -> None:
    steps = ((60, "delivered"), (DELIVERED_AT, "delivered"))
    assert read(*steps, (DELIVERED_AT + 1, "in_delivery")).status == "DELIVERED"
    assert read(*steps, (days(2.5), "accepted")).status == "DELIVERED"
    assert read(*steps, (days(3), "accepted")).status == "TO_SORTING"
    assert read(*steps).ended_at == START + timedelta(minutes=60)


def test_a_return_leg_reads_delivered_as_returned() -> None:
    journey = read(
        (60, "accepted"),
        (days(0), "attempted refused error receiver"),
        (days(1), "in_transit returned_sender error in_progress"),
        (days(2), "in_transit"),
        (days(3), "delivered"),
    )
    assert journey.is_return
    assert [entry.leg for entry in journey.entries] == [1, 1, 1, 2, 2, 2]
    assert journey_files.words(journey.reading) == "delivered returned_sender error sender"
    assert journey.status == "RETURNED_TO_SENDER"
    assert journey.ended_at == journey.entries[-1].effective_at


def test_being_returned_is_no_end() -> None:
    journey = read((60, "accepted"), (days(1), "in_transit returned_sender error in_progress"))
    assert (journey.status, journey.ended_at) == ("RETURNED_TO_SENDER", None)


def test_the_connector_may_name_the_leg() -> None:
    journey = read(
        (60, "accepted"),
        (DELIVERED_AT, "delivered"),
        returning(int(days(1)), "accepted"),
        returning(int(days(2)), "delivered"),
    )
    assert (journey.is_return, journey.status) == (True, "RETURNED_TO_SENDER")
    assert [entry.leg for entry in journey.entries] == [1, 1, 1, 2, 2]


def test_a_new_outbound_leg_after_a_return_is_no_return() -> None:
    journey = read(
        returning(60, "accepted"), returning(DELIVERED_AT, "delivered"), (days(4), "accepted")
    )
    assert (journey.is_return, journey.entries[-1].leg, journey.status) == (False, 3, "TO_SORTING")


def test_collected_only_after_waiting_on_the_same_leg() -> None:
    waited = read((60, "pup none success pup"), (days(0), "delivered none success locker"))
    assert waited.status == "COLLECTED_BY_CUSTOMER"
    assert read((60, "accepted"), (days(0), "delivered none success pup")).status == "DELIVERED"


def test_early_scans_are_hidden_and_tell_nothing() -> None:
    month = 30 * 1440
    journey = read((-month - 1, "delivered"), (-month, "accepted"))
    assert [event.scan_class for event in journey.hidden] == ["C0"]
    assert journey.status == "TO_SORTING"
    assert journey.first_scan_at == START - timedelta(days=30)


def test_registration_never_moves_a_parcel_that_was_scanned() -> None:
    for minute, says in ((-60, "in_transit"), (-10 * 1440, "delivered")):
        journey = read((minute, says))
        assert journey.entries[-1].event.carrier_code == ""
        assert journey.entries[-1].status == journey.status != "ANNOUNCED"


def test_without_scans() -> None:
    journey = read()
    assert (journey.status, journey.status_at) == ("ANNOUNCED", START)
    assert (journey.first_scan_at, journey.last_scan_at, journey.ended_at) == (None, None, None)
    nothing = read_journey((), START)
    assert (nothing.status, nothing.entries) == ("NO_LABEL", ())


def test_withdrawn_events_are_not_read() -> None:
    told = Observation("sandbox", "poll", START, (scan_at(-9, "A", "delivered"),))
    events = tuple(replace(event, withdrawn_at=START) for event in journey_files.merged([told]))
    assert read_journey(events, START).entries == ()


def test_a_time_after_first_seen_counts_as_first_seen() -> None:
    journey = read((600, "in_transit"), hours_seen=1)
    assert journey.entries[-1].effective_at == START + timedelta(hours=1)
