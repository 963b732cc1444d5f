"""Sentences that clients in the field classify by the words in them."""

import re
from itertools import product

from tests.tracking.journey_files import reading

from milepost.tracking.descriptions import describe
from milepost.tracking.status import is_end, status_of
from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading

ALL = [Reading(phase, exception) for phase, exception in product(Phase, ExceptionCode)]
HANDED_OVER = (Phase.DELIVERED, Phase.DELIVERY_FORCED)
ON_THE_WAY = {
    Phase.ACCEPTED,
    Phase.SORTED,
    Phase.IN_TRANSIT,
    Phase.CUSTOMS,
    Phase.IN_DELIVERY,
    Phase.ATTEMPTED,
    Phase.PUP,
}
SAYS_DELIVERED = re.compile(r"delivered|livr|remis au destinataire|collected by customer", re.I)
SAYS_SHIPPED = re.compile(
    r"in transit|en route|collected|picked up|sorting|hub|customs|out for delivery|arrived at"
    r"|handed over",
    re.I,
)


def test_delivered_is_said_of_a_delivery_to_the_recipient_only() -> None:
    for each in ALL:
        to_recipient = (
            each.phase is Phase.DELIVERED and each.exception is not ExceptionCode.RETURNED_SENDER
        )
        assert bool(SAYS_DELIVERED.search(describe(each))) == to_recipient, each


def test_cancel_is_said_of_the_cancelled_only() -> None:
    for each in ALL:
        if "cancel" in describe(each).lower():
            assert is_end(status_of(each), each) or each.phase is Phase.CANCELLED, each
            assert "cancel" in f"{each.phase} {each.exception}", each


def test_return_is_said_of_returns_only() -> None:
    for each in ALL:
        says = "return" in describe(each).lower()
        assert says == (each.exception is ExceptionCode.RETURNED_SENDER), each


def test_shipped_is_said_of_the_shipped_only() -> None:
    for each in ALL:
        text = describe(each)
        assert not SAYS_SHIPPED.search(text) or each.phase in ON_THE_WAY, each
        assert not re.search(r"collect|pick up", text, re.I), each


def test_plain_phases_as_clients_know_them() -> None:
    known = {
        "ready_to_send": "Ready to send",
        "announcing": "Being announced",
        "labelled": "Parcel has been labelled",
        "accepted": "Parcel has been accepted by carrier",
        "sorted": "Parcel in sorting process",
        "in_delivery": "Parcel in delivery process",
        "in_transit": "Parcel is on its way",
        "delivered": "Parcel has been delivered",
        "delivered damaged error": "Parcel has been delivered",
        "attempted": "Delivery attempt failed",
        "attempted delivery_delay warning not_home": "Delivery attempt failed",
        "delivered returned_sender error sender": "Parcel has been returned to the sender",
        "in_transit returned_sender error": "Parcel is being returned to the sender",
        "unknown unknown warning unknown": "Unknown status",
    }
    assert {says: describe(reading(says)) for says in known} == known


def test_every_reading_has_a_sentence() -> None:
    assert all(describe(each) for each in ALL)
