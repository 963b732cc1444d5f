"""The mapping between readings and Sendcloud's statuses, both ways."""

import csv
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from tests.tracking.journey_files import reading

from milepost.tracking.status import (
    STATUSES,
    Ending,
    is_end,
    reading_of,
    slug_of,
    status_of,
    statuses_of,
    v2_statuses,
    v3_statuses,
)
from milepost.tracking.vocabulary import (
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

FORWARD = {
    "none": "NO_LABEL",
    "no_label": "NO_LABEL",
    "ready_to_send": "READY_TO_SEND",
    "announcing": "ANNOUNCING",
    "announced": "ANNOUNCED",
    "labelled": "ANNOUNCED",
    "dropped": "TO_SORTING",
    "accepted": "TO_SORTING",
    "sorted": "SORTED",
    "sorted none success in_progress": "SORTING",
    "sorted none success accepted": "AT_SORTING_CENTRE",
    "sorted none success missort": "UNSORTED",
    "sorted none success misrouted": "UNSORTED",
    "in_transit": "SHIPMENT_ON_ROUTE",
    "customs": "AT_CUSTOMS",
    "in_delivery": "DRIVER_ON_ROUTE",
    "attempted": "DELIVERY_FAILED",
    "attempted none warning undeliverable": "UNDELIVERABLE",
    "attempted delivery_delay warning not_home": "DELIVERY_FAILED",
    "attempted delivery_delay warning undeliverable": "UNDELIVERABLE",
    "attempted delay_unknown warning": "DELIVERY_FAILED",
    "attempted refused error receiver": "REFUSED_BY_RECIPIENT",
    "attempted address_error error": "ADDRESS_INVALID",
    "pup": "AWAITING_CUSTOMER_PICKUP",
    "pup claimable warning pup": "AWAITING_CUSTOMER_PICKUP",
    "pup pup_expiration error expired": "UNDELIVERABLE",
    "delivered": "DELIVERED",
    "delivered none success pup": "DELIVERED",
    "delivered damaged error damaged": "DELIVERED",
    "delivered returned_sender error sender": "RETURNED_TO_SENDER",
    "delivery_forced": "DELIVERED",
    "cancelled": "CANCELLED",
    "unknown unknown warning unknown": "UNKNOWN",
    "in_transit announcement_failed": "ANNOUNCEMENT_FAILED",
    "in_transit cancelling": "CANCELLING",
    "in_transit cancelling_upstream": "CANCELLING_UPSTREAM",
    "in_transit cancelled": "CANCELLED",
    "in_transit cancelled_upstream": "CANCELLED_UPSTREAM",
    "in_transit cancellation_failed": "CANCELLATION_FAILED",
    "in_transit address_error": "ADDRESS_INVALID",
    "in_transit refused": "REFUSED_BY_RECIPIENT",
    "in_transit customer_rejected": "REFUSED_BY_RECIPIENT",
    "in_transit returned_sender": "RETURNED_TO_SENDER",
    "in_transit delivery_delay": "DELAYED",
    "in_transit delay_unknown": "DELAYED",
    "in_transit off_radar": "DELAYED",
    "sorted sorting_delay warning delay": "DELAYED",
    "sorted sorting_delay warning misrouted": "UNSORTED",
    "announced handover_delay warning": "ANNOUNCED_UNCOLLECTED",
    "announced dropoff_expiration warning expired": "ANNOUNCED_UNCOLLECTED",
    "in_transit changed success receiver": "DELIVERY_ADDRESS_CHANGED",
    "in_transit changed success incorrect_information": "DELIVERY_ADDRESS_CHANGED",
    "in_transit changed success additional_information": "DELIVERY_ADDRESS_CHANGED",
    "in_transit changed success updated": "DELIVERY_DATE_CHANGED",
    "in_transit changed success delay": "DELIVERY_DATE_CHANGED",
    "in_transit changed success late": "DELIVERY_DATE_CHANGED",
    "in_transit changed success delivery_change": "DELIVERY_METHOD_CHANGED",
    "customs customs_issue warning payment": "AT_CUSTOMS",
    "customs customs_issue error documents": "EXCEPTION",
    "in_transit damaged error": "EXCEPTION",
    "in_transit missing error": "EXCEPTION",
    "in_transit hold warning": "EXCEPTION",
    "in_transit non_conformity error": "EXCEPTION",
    "in_transit customer_support warning": "EXCEPTION",
    "in_transit claim error": "SHIPMENT_ON_ROUTE",
    "in_transit relabelled warning": "SHIPMENT_ON_ROUTE",
    "in_transit unknown error unknown": "EXCEPTION",
    "in_transit unknown warning": "SHIPMENT_ON_ROUTE",
}

V2_LIST = [
    6, 15, 62989, 62993, 62990, 1002, 62991, 62992, 62995, 1999, 62996, 62994, 1998, 1000, 62997,
    12, 11, 93, 91, 80, 22, 13, 8, 7, 5, 4, 3, 1, 1337, 999, 1001, 2000, 2001, 92, 94,
]  # fmt: skip

V3_LIST = re.findall(
    r"\w+",
    """
READY_TO_SEND ANNOUNCED ANNOUNCING TO_SORTING SORTING SORTED UNSORTED AT_SORTING_CENTRE
SHIPMENT_ON_ROUTE DRIVER_ON_ROUTE PICKED_UP_BY_DRIVER DELAYED DELIVERY_FAILED DELIVERED
AWAITING_CUSTOMER_PICKUP COLLECTED_BY_CUSTOMER ANNOUNCED_UNCOLLECTED COLLECT_ERROR UNDELIVERABLE
NO_LABEL CANCELLING_UPSTREAM CANCELLING CANCELLED CANCELLED_UPSTREAM CANCELLATION_FAILED UNKNOWN
ANNOUNCEMENT_FAILED AT_CUSTOMS REFUSED_BY_RECIPIENT RETURNED_TO_SENDER DELIVERY_METHOD_CHANGED
DELIVERY_DATE_CHANGED DELIVERY_ADDRESS_CHANGED EXCEPTION ADDRESS_INVALID
""",
)

MESSAGES = {
    999: "No label",
    1000: "Ready to send",
    1001: "Being announced",
    1002: "Announcement failed",
    1: "Announced",
    13: "Announced: not collected",
    15: "Error collecting",
    22: "Shipment picked up by driver",
    3: "En route to sorting center",
    62990: "At sorting centre",
    7: "Being sorted",
    5: "Sorted",
    6: "Not sorted",
    62989: "At Customs",
    91: "Parcel en route",
    92: "Driver en route",
    4: "Delivery delayed",
    62994: "Delivery date changed",
    62995: "Delivery address changed",
    62993: "Delivery method changed",
    62997: "Address invalid",
    8: "Delivery attempt failed",
    12: "Awaiting customer pickup",
    93: "Shipment collected by customer",
    11: "Delivered",
    80: "Unable to deliver",
    62991: "Refused by recipient",
    62992: "Returned to sender",
    1999: "Cancellation requested",
    2001: "Submitting cancellation request",
    1998: "Cancelled upstream",
    2000: "Cancelled",
    94: "Parcel cancellation failed.",
    62996: "Exception",
    1337: "Unknown status - check carrier track & trace page for more insights",
}

CARRIER_CODES = Path(__file__).parents[3] / "shared" / "carriers" / "status-codes.csv"


@pytest.mark.parametrize(("says", "code"), FORWARD.items())
def test_forward(says: str, code: str) -> None:
    assert status_of(reading(says)) == code


def test_collected_needs_a_wait_and_a_place() -> None:
    for place in ("pup", "shop", "locker"):
        fetched = reading(f"delivered none success {place}")
        assert status_of(fetched, waited_at_pick_up=True) == "COLLECTED_BY_CUSTOMER"
    assert status_of(reading("delivered"), waited_at_pick_up=True) == "DELIVERED"


def test_every_reading_has_a_status_and_unknown_is_never_delivered() -> None:
    for words in product(Phase, ExceptionCode, StatusType, SubStatus):
        code = status_of(Reading(*words))
        assert code in STATUSES
        handed_over = words[0] in (Phase.DELIVERED, Phase.DELIVERY_FORCED)
        assert (code == "DELIVERED") <= handed_over


@pytest.mark.parametrize("code", STATUSES)
def test_there_and_back(code: str) -> None:
    """Only who picked it up is lost on the way: no reading says that."""
    back = status_of(reading_of(code), waited_at_pick_up=code == "COLLECTED_BY_CUSTOMER")
    assert back == ("TO_SORTING" if code == "PICKED_UP_BY_DRIVER" else code)


def test_both_lists_in_their_recorded_order() -> None:
    assert [status.v2_id for status in v2_statuses()] == V2_LIST
    assert [status.code for status in v3_statuses()] == V3_LIST
    assert {status.v2_id: status.message for status in v3_statuses()} == MESSAGES


def test_slugs() -> None:
    assert slug_of("SHIPMENT_ON_ROUTE", reading("in_transit")) == "shipment-on-route"
    assert slug_of("DELIVERED", reading("delivered")) == "delivered"
    assert slug_of("DELIVERED", reading("delivery_forced")) == "delivery-forced"


def test_ends() -> None:
    ends = {status.code for status in v3_statuses() if status.ending is Ending.FINAL}
    assert ends == {
        "ANNOUNCEMENT_FAILED",
        "COLLECTED_BY_CUSTOMER",
        "DELIVERED",
        "RETURNED_TO_SENDER",
        "CANCELLED_UPSTREAM",
        "CANCELLED",
    }
    movable = {status.code for status in v3_statuses() if status.ending is Ending.MOVABLE}
    assert movable == {"UNDELIVERABLE", "REFUSED_BY_RECIPIENT"}
    assert is_end("RETURNED_TO_SENDER", reading("delivered returned_sender error sender"))
    assert not is_end("RETURNED_TO_SENDER", reading("in_transit returned_sender error"))
    assert not is_end("UNDELIVERABLE", reading("attempted none warning undeliverable"))


def carrier_rows() -> Iterator[dict[str, str]]:
    with CARRIER_CODES.open(newline="") as lines:
        yield from csv.DictReader(lines)


@pytest.mark.skipif(not CARRIER_CODES.exists(), reason="the carriers' code lists are not here")
def test_every_known_carrier_code_has_a_v3_and_a_v2_status() -> None:
    rows = list(carrier_rows())
    assert len(rows) > 1000
    ids = set(V2_LIST)
    for row in rows:
        words = " ".join(row[name] for name in ("phase", "exception", "status_type", "sub_status"))
        for waited in (False, True):
            status = STATUSES[status_of(reading(words), waited_at_pick_up=waited)]
            assert status.v2_id in ids, row
            assert (status.code == "NO_LABEL") == (row["phase"] == "none"), row


def test_a_phase_has_no_other_statuses_than_it_says() -> None:
    """Lists look a phase up by these: one too few would hide parcels, one too many costs."""
    made: dict[Phase, set[str]] = {phase: set() for phase in Phase}
    for phase, exception, status_type, sub_status in product(
        Phase, ExceptionCode, StatusType, SubStatus
    ):
        reading = Reading(phase, exception, status_type, sub_status)
        made[phase] |= {status_of(reading, waited_at_pick_up=waited) for waited in (True, False)}
    assert {phase: statuses_of(phase) for phase in Phase} == made
