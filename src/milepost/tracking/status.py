"""The way between the house's readings and Sendcloud's statuses.

Both ways lose something: several readings share a status, and a status says less than a reading.
Events keep their reading; a status is only worked out to be shown.
"""

from enum import StrEnum

from milepost.tracking.status_list import STATUSES, Ending, Status, v2_statuses, v3_statuses
from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading, StatusType, SubStatus

__all__ = [
    "STATUSES",
    "Ending",
    "Rule",
    "Status",
    "is_end",
    "reading_of",
    "slug_of",
    "status_by_rule",
    "status_of",
    "statuses_of",
    "v2_statuses",
    "v3_statuses",
]


def reading_of(code: str) -> Reading:
    """What to read where only a v3 status code is known. KeyError for a code that is none."""
    return STATUSES[code].reading


def slug_of(code: str, reading: Reading) -> str:
    """The v2 ``parent_status`` of a shown event."""
    if reading.phase is Phase.DELIVERY_FORCED and code == "DELIVERED":
        return "delivery-forced"
    return STATUSES[code].slug


def is_end(code: str, reading: Reading) -> bool:
    """Whether a leg is over with this. A return is over when the parcel is back, not before."""
    if code == "RETURNED_TO_SENDER":
        return reading.phase in _HANDED_OVER
    return STATUSES[code].ending is Ending.FINAL


_HANDED_OVER = frozenset({Phase.DELIVERED, Phase.DELIVERY_FORCED})
_PICK_UP = frozenset({SubStatus.PUP, SubStatus.SHOP, SubStatus.LOCKER})
_MIS_SORTED = frozenset({SubStatus.MISSORT, SubStatus.MISROUTED})
_LATE = frozenset({ExceptionCode.DELIVERY_DELAY, ExceptionCode.DELAY_UNKNOWN})
_NEW_ADDRESS = frozenset(
    {SubStatus.RECEIVER, SubStatus.INCORRECT_INFORMATION, SubStatus.ADDITIONAL_INFORMATION}
)
_NEW_DATE = frozenset({SubStatus.UPDATED, SubStatus.DELAY, SubStatus.LATE})

_BY_PHASE = {
    Phase.NONE: "NO_LABEL",
    Phase.NO_LABEL: "NO_LABEL",
    Phase.READY_TO_SEND: "READY_TO_SEND",
    Phase.ANNOUNCING: "ANNOUNCING",
    Phase.ANNOUNCED: "ANNOUNCED",
    Phase.LABELLED: "ANNOUNCED",
    Phase.DROPPED: "TO_SORTING",
    Phase.ACCEPTED: "TO_SORTING",
    Phase.SORTED: "SORTED",
    Phase.IN_TRANSIT: "SHIPMENT_ON_ROUTE",
    Phase.CUSTOMS: "AT_CUSTOMS",
    Phase.IN_DELIVERY: "DRIVER_ON_ROUTE",
    Phase.ATTEMPTED: "DELIVERY_FAILED",
    Phase.PUP: "AWAITING_CUSTOMER_PICKUP",
    Phase.CANCELLED: "CANCELLED",
    Phase.UNKNOWN: "UNKNOWN",
}

_BY_EXCEPTION = {
    ExceptionCode.ANNOUNCEMENT_FAILED: "ANNOUNCEMENT_FAILED",
    ExceptionCode.CANCELLING: "CANCELLING",
    ExceptionCode.CANCELLING_UPSTREAM: "CANCELLING_UPSTREAM",
    ExceptionCode.CANCELLED: "CANCELLED",
    ExceptionCode.CANCELLED_UPSTREAM: "CANCELLED_UPSTREAM",
    ExceptionCode.CANCELLATION_FAILED: "CANCELLATION_FAILED",
    ExceptionCode.ADDRESS_ERROR: "ADDRESS_INVALID",
    ExceptionCode.REFUSED: "REFUSED_BY_RECIPIENT",
    ExceptionCode.CUSTOMER_REJECTED: "REFUSED_BY_RECIPIENT",
    ExceptionCode.RETURNED_SENDER: "RETURNED_TO_SENDER",
    ExceptionCode.DELIVERY_DELAY: "DELAYED",
    ExceptionCode.DELAY_UNKNOWN: "DELAYED",
    ExceptionCode.OFF_RADAR: "DELAYED",
    ExceptionCode.SORTING_DELAY: "DELAYED",
    ExceptionCode.HANDOVER_DELAY: "ANNOUNCED_UNCOLLECTED",
    ExceptionCode.DROPOFF_EXPIRATION: "ANNOUNCED_UNCOLLECTED",
    ExceptionCode.CHANGED: "DELIVERY_METHOD_CHANGED",
    ExceptionCode.PUP_EXPIRATION: "UNDELIVERABLE",
    ExceptionCode.DAMAGED: "EXCEPTION",
    ExceptionCode.MISSING: "EXCEPTION",
    ExceptionCode.HOLD: "EXCEPTION",
    ExceptionCode.NON_CONFORMITY: "EXCEPTION",
    ExceptionCode.CUSTOMER_SUPPORT: "EXCEPTION",
}

_EXCEPTIONAL = frozenset(_BY_EXCEPTION.values()) | {
    "UNSORTED",
    "COLLECT_ERROR",
    "AT_CUSTOMS",
    "DELIVERY_ADDRESS_CHANGED",
    "DELIVERY_DATE_CHANGED",
}


class Rule(StrEnum):
    """What of a reading gave its status."""

    HANDED_OVER = "handed_over"
    ATTEMPTED = "attempted"
    EXCEPTION = "exception"
    PHASE = "phase"


def status_of(reading: Reading, *, waited_at_pick_up: bool = False) -> str:
    """The v3 status code of a reading; every reading has one.

    ``waited_at_pick_up``: the parcel was at a pick-up point earlier on this leg, so that a delivery
    there means the customer collected it.
    """
    return status_by_rule(reading, waited_at_pick_up)[0]


def status_by_rule(reading: Reading, waited_at_pick_up: bool) -> tuple[str, Rule]:
    """The same with the rule that gave it; the first that matches, in this order."""
    if reading.phase in _HANDED_OVER:
        return _handed_over(reading, waited_at_pick_up), Rule.HANDED_OVER
    if status := _attempted(reading):
        return status, Rule.ATTEMPTED
    if status := _exceptional(reading):
        return status, Rule.EXCEPTION
    return _of_phase(reading), Rule.PHASE


def statuses_of(phase: Phase) -> frozenset[str]:
    """Every status that a reading of ``phase`` can have."""
    if phase in _HANDED_OVER:
        picked_up = {"COLLECTED_BY_CUSTOMER"} if phase is Phase.DELIVERED else set[str]()
        return frozenset({"DELIVERED", "RETURNED_TO_SENDER", *picked_up})
    own = {_BY_PHASE[phase]}
    if phase is Phase.SORTED:
        own |= {"SORTING", "AT_SORTING_CENTRE"}
    return frozenset(own | _EXCEPTIONAL)


def _handed_over(reading: Reading, waited_at_pick_up: bool) -> str:
    if reading.exception is ExceptionCode.RETURNED_SENDER:
        return "RETURNED_TO_SENDER"
    if reading.phase is Phase.DELIVERED and waited_at_pick_up and reading.sub_status in _PICK_UP:
        return "COLLECTED_BY_CUSTOMER"
    return "DELIVERED"


def _attempted(reading: Reading) -> str | None:
    if reading.phase is not Phase.ATTEMPTED:
        return None
    plain = reading.exception is ExceptionCode.NONE or reading.exception in _LATE
    if reading.sub_status is SubStatus.UNDELIVERABLE:
        return "UNDELIVERABLE" if plain or reading.exception is ExceptionCode.UNKNOWN else None
    return "DELIVERY_FAILED" if plain else None


def _exceptional(reading: Reading) -> str | None:
    """None where the exception says nothing that the phase doesn't."""
    exception, sub_status = reading.exception, reading.sub_status
    is_error = reading.status_type is StatusType.ERROR
    if exception is ExceptionCode.CHANGED:
        return _changed(sub_status)
    if exception is ExceptionCode.SORTING_DELAY and sub_status in _MIS_SORTED:
        return "UNSORTED"
    if exception is ExceptionCode.HANDOVER_DELAY and sub_status is SubStatus.CONNECTION_MISSED:
        return "COLLECT_ERROR"
    if exception is ExceptionCode.CUSTOMS_ISSUE:
        return "EXCEPTION" if is_error else "AT_CUSTOMS"
    if exception is ExceptionCode.UNKNOWN:
        return "EXCEPTION" if is_error else None
    return _BY_EXCEPTION.get(exception)


def _changed(sub_status: SubStatus) -> str:
    if sub_status in _NEW_ADDRESS:
        return "DELIVERY_ADDRESS_CHANGED"
    return "DELIVERY_DATE_CHANGED" if sub_status in _NEW_DATE else "DELIVERY_METHOD_CHANGED"


def _of_phase(reading: Reading) -> str:
    if reading.phase is Phase.SORTED:
        if reading.sub_status is SubStatus.IN_PROGRESS:
            return "SORTING"
        if reading.sub_status is SubStatus.ACCEPTED:
            return "AT_SORTING_CENTRE"
        if reading.sub_status in _MIS_SORTED:
            return "UNSORTED"
    return _BY_PHASE[reading.phase]
