"""What ``record`` makes of an observation, before anything is written."""

from dataclasses import replace

from tests.tracking.order_free import START, poll, scan_at

from milepost.parcels.apply import News, apply
from milepost.parcels.stored import StoredParcel
from milepost.tracking.events import Observation

PARCEL = StoredParcel(
    account_id=1,
    parcel_id=1,
    revision=1,
    carrier_code="dhl",
    tracking_number="A",
    source_id="",
    document={},
    announced_at=START,
    created_at=START,
    updated_at=START,
    ended_at=None,
    stopped_at=None,
    stop_reason="",
    estimate=None,
    extra={},
    event_count=0,
    lane_state="open",
    epoch=1,
    events=(),
)


def told(parcel: StoredParcel, *observations: Observation) -> StoredParcel:
    for observation in observations:
        parcel = apply(parcel, observation, News(), START).parcel
    return parcel


def test_the_number_of_an_event_that_is_gone_is_not_given_out_again() -> None:
    """An event id names one event for good: clients and webhooks remember it."""
    first, wrong = scan_at(60, "A", "sorted"), scan_at(90, "A", "sorted")
    by_file = replace(poll(2, first), source="file", complete=False)
    parcel = told(PARCEL, by_file, poll(3, wrong), poll(4, first))
    assert [event.sequence for event in parcel.events] == [1], "the poll took it back"
    parcel = told(parcel, poll(5, first, scan_at(280, "B", "in_delivery")))
    assert [event.sequence for event in parcel.events] == [1, 3]
