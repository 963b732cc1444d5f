"""What another tool told stands until the carrier's own history covers it."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.tracking.order_free import (
    START,
    check_order_free,
    numbered,
    poll,
    scan_at,
)

from milepost.tracking.events import Event, Observation, Scan
from milepost.tracking.imported import summary_class
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import changes, merge

HOUR, DAY = 60, 24 * 60
ACCEPTED = scan_at(0, "PU", "accepted")
SORTED = scan_at(5 * HOUR, "AR", "sorted")
OUT = scan_at(DAY, "OD", "in_delivery")
HANDED_OVER = scan_at(DAY + 3 * HOUR, "DL", "delivered")


def foreign(minutes: int, reading: str, code: str = "") -> Scan:
    return scan_at(minutes, f"import tool {code or reading}", reading)


HISTORY = (foreign(1, "accepted"), foreign(5 * HOUR, "in_transit"), foreign(DAY, "in_delivery"))


def imported(*scans: Scan, hours: float = 0) -> Observation:
    return Observation("sandbox", "import", START + timedelta(days=2, hours=hours), scans)


def of_the_tool(events: tuple[Event, ...]) -> list[str]:
    return [event.scan_class for event in events if event.scan_class.startswith("IMPORT")]


def test_it_stands_while_the_carrier_has_told_nothing() -> None:
    events = merge((), imported(*HISTORY))
    assert len(events) == 3
    assert read_journey(events, START).status == "DRIVER_ON_ROUTE"
    assert merge(events, imported(*HISTORY)) == events, "a second run doubles nothing"


def test_the_carriers_whole_history_takes_its_place_and_ids_are_kept_where_they_are_the_same() -> (
    None
):
    before = numbered(merge((), imported(*HISTORY)))
    merged = merge(before, poll(60, ACCEPTED, SORTED, OUT, HANDED_OVER))
    assert of_the_tool(merged) == []
    assert [event.sequence for event in merged] == [1, 2, 3, 0]
    found = changes(before, merged)
    assert [event.scan_class for event in found.new] == ["DL"], "only what is new is told"
    assert len(found.revised) == 3
    again = merge(numbered(merged), imported(*HISTORY, hours=30))
    assert of_the_tool(again) == [], "told again it does not come back"


def test_what_the_carrier_no_longer_tells_and_does_not_know_stays() -> None:
    early, late = foreign(-3 * DAY, "accepted"), foreign(9 * DAY, "delivered")
    events = merge(merge((), imported(early, *HISTORY, late)), poll(400, SORTED, OUT))
    assert [event.scan_class for event in events] == [
        "IMPORT TOOL ACCEPTED",
        "IMPORT TOOL ACCEPTED",
        "AR",
        "OD",
        "IMPORT TOOL DELIVERED",
    ]


def test_clocks_that_are_off_do_not_double_the_end() -> None:
    off = foreign(DAY + 5 * HOUR, "delivered")
    before = numbered(merge((), imported(off)))
    (event, *rest) = sorted(
        merge(before, poll(60, OUT, HANDED_OVER)), key=lambda event: -event.sequence
    )
    assert (event.scan_class, event.sequence) == ("DL", 1)
    assert [other.scan_class for other in rest] == ["OD"]


def test_news_never_hides_under_an_old_id() -> None:
    """The nearest scan to a covered event may be one that nobody has been told of yet."""
    before = numbered(merge((), imported(foreign(DAY + 2 * HOUR, "attempted"))))
    merged = merge(before, poll(60, OUT, HANDED_OVER))
    assert [event.scan_class for event in changes(before, merged).new] == ["OD", "DL"]
    assert changes(before, merged).dropped == (1,)


@pytest.mark.parametrize(
    ("reading", "told"), [("delivered", True), ("pup none success pup", True), ("sorted", False)]
)
def test_a_delivery_that_a_tool_took_for_carriage_is_news(reading: str, told: bool) -> None:
    """One scan of that minute, but subscribers heard of no delivery."""
    before = numbered(merge((), imported(foreign(DAY + 3 * HOUR, "in_transit"))))
    end = scan_at(DAY + 3 * HOUR, "DL", reading)
    found = changes(before, merge(before, poll(60, OUT, end)))
    assert ("DL" in [event.scan_class for event in found.new]) is told


def test_an_answer_that_is_not_whole_covers_only_the_same_scan() -> None:
    pushed = poll(60, replace(HANDED_OVER), source="push", complete=False)
    events = merge(merge((), imported(*HISTORY, foreign(DAY + 3 * HOUR, "delivered"))), pushed)
    assert of_the_tool(events) == of_the_tool(merge((), imported(*HISTORY)))


def test_a_word_on_the_whole_parcel_is_no_scan_of_later() -> None:
    """A tool's export says when it looked, not where the parcel was: the carrier knows better."""
    stale = scan_at(9 * DAY, summary_class("tool", "InTransit"), "in_transit")
    marked = scan_at(9 * DAY, summary_class("tool", "Delivered"), "delivered")
    answer = poll(60, ACCEPTED, OUT)
    assert (
        read_journey(merge(merge((), imported(stale)), answer), START).status == "DRIVER_ON_ROUTE"
    )
    assert read_journey(merge(merge((), imported(marked)), answer), START).status == "DELIVERED"
    check_order_free(
        [imported(stale, *HISTORY), imported(marked, hours=1), answer],
        merge,
        shuffles=20,
        dice=random.Random(3),
    )


def test_events_of_the_merchant_cover_nothing() -> None:
    own = poll(60, ACCEPTED, OUT, source="own")
    assert len(of_the_tool(merge(merge((), imported(*HISTORY)), own))) == 3


def test_any_order_gives_the_same_timeline() -> None:
    late = foreign(9 * DAY, "delivered")
    told = [
        imported(*HISTORY),
        imported(*HISTORY, late, hours=100),
        poll(20, ACCEPTED),
        poll(40, ACCEPTED, SORTED, OUT),
        poll(41, HANDED_OVER, source="push", complete=False),
        poll(60, SORTED, scan_at(DAY + 10, "OD", "in_delivery"), HANDED_OVER),
    ]
    check_order_free(told, merge, shuffles=100, dice=random.Random(7))
