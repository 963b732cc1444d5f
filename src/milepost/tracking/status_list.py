"""The 35 Sendcloud statuses and the two orders in which the API lists them."""

from dataclasses import dataclass
from enum import StrEnum

from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading, StatusType, SubStatus


class Ending(StrEnum):
    """Whether a parcel with a status is at its end."""

    OPEN = "open"
    MOVABLE = "movable"  # looks like an end, but such parcels do move again
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Status:
    """One status: v3 code, v2 id, the message both share, and the reading it stands for.

    Phase ``none`` in ``reading`` means: wherever the parcel last was.
    """

    code: str
    v2_id: int
    message: str
    reading: Reading
    ending: Ending

    @property
    def slug(self) -> str:
        """The v2 ``parent_status``."""
        return self.code.lower().replace("_", "-")


def _status(
    code: str, v2_id: int, message: str, words: str, ending: Ending = Ending.OPEN
) -> Status:
    phase, exception, status_type, sub_status = words.split()
    reading = Reading(
        Phase(phase), ExceptionCode(exception), StatusType(status_type), SubStatus(sub_status)
    )
    return Status(code, v2_id, message, reading, ending)


_UNKNOWN_MESSAGE = "Unknown status - check carrier track & trace page for more insights"

# In the order of the v3 list, which is kept as clients know it.
_ALL = (
    _status("READY_TO_SEND", 1000, "Ready to send", "ready_to_send none success none"),
    _status("ANNOUNCED", 1, "Announced", "announced none success none"),
    _status("ANNOUNCING", 1001, "Being announced", "announcing none success none"),
    _status("TO_SORTING", 3, "En route to sorting center", "accepted none success in_progress"),
    _status("SORTING", 7, "Being sorted", "sorted none success in_progress"),
    _status("SORTED", 5, "Sorted", "sorted none success none"),
    _status("UNSORTED", 6, "Not sorted", "sorted sorting_delay warning missort"),
    _status("AT_SORTING_CENTRE", 62990, "At sorting centre", "sorted none success accepted"),
    _status("SHIPMENT_ON_ROUTE", 91, "Parcel en route", "in_transit none success none"),
    _status("DRIVER_ON_ROUTE", 92, "Driver en route", "in_delivery none success none"),
    _status(
        "PICKED_UP_BY_DRIVER", 22, "Shipment picked up by driver", "accepted none success none"
    ),
    _status("DELAYED", 4, "Delivery delayed", "in_transit delivery_delay warning delay"),
    _status("DELIVERY_FAILED", 8, "Delivery attempt failed", "attempted none warning not_home"),
    _status("DELIVERED", 11, "Delivered", "delivered none success none", Ending.FINAL),
    _status("AWAITING_CUSTOMER_PICKUP", 12, "Awaiting customer pickup", "pup none success none"),
    _status(
        "COLLECTED_BY_CUSTOMER",
        93,
        "Shipment collected by customer",
        "delivered none success pup",
        Ending.FINAL,
    ),
    _status(
        "ANNOUNCED_UNCOLLECTED",
        13,
        "Announced: not collected",
        "announced handover_delay warning none",
    ),
    _status(
        "COLLECT_ERROR",
        15,
        "Error collecting",
        "announced handover_delay warning connection_missed",
    ),
    _status(
        "UNDELIVERABLE",
        80,
        "Unable to deliver",
        "attempted unknown error undeliverable",
        Ending.MOVABLE,
    ),
    _status("NO_LABEL", 999, "No label", "no_label none success none"),
    _status(
        "CANCELLING_UPSTREAM",
        2001,
        "Submitting cancellation request",
        "none cancelling_upstream warning requested",
    ),
    _status("CANCELLING", 1999, "Cancellation requested", "none cancelling warning requested"),
    _status("CANCELLED", 2000, "Cancelled", "cancelled cancelled warning none", Ending.FINAL),
    _status(
        "CANCELLED_UPSTREAM",
        1998,
        "Cancelled upstream",
        "cancelled cancelled_upstream warning none",
        Ending.FINAL,
    ),
    _status(
        "CANCELLATION_FAILED",
        94,
        "Parcel cancellation failed.",
        "none cancellation_failed error none",
    ),
    _status("UNKNOWN", 1337, _UNKNOWN_MESSAGE, "unknown none warning unknown"),
    _status(
        "ANNOUNCEMENT_FAILED",
        1002,
        "Announcement failed",
        "announcing announcement_failed error none",
        Ending.FINAL,
    ),
    _status("AT_CUSTOMS", 62989, "At Customs", "customs none success in_progress"),
    _status(
        "REFUSED_BY_RECIPIENT",
        62991,
        "Refused by recipient",
        "attempted refused error rejected",
        Ending.MOVABLE,
    ),
    _status(
        "RETURNED_TO_SENDER",
        62992,
        "Returned to sender",
        "none returned_sender error sender",
        Ending.FINAL,
    ),
    _status(
        "DELIVERY_METHOD_CHANGED",
        62993,
        "Delivery method changed",
        "none changed warning delivery_change",
    ),
    _status(
        "DELIVERY_DATE_CHANGED", 62994, "Delivery date changed", "none changed warning updated"
    ),
    _status(
        "DELIVERY_ADDRESS_CHANGED",
        62995,
        "Delivery address changed",
        "none changed warning receiver",
    ),
    _status("EXCEPTION", 62996, "Exception", "none unknown error unknown"),
    _status(
        "ADDRESS_INVALID",
        62997,
        "Address invalid",
        "none address_error error incorrect_information",
    ),
)

STATUSES = {status.code: status for status in _ALL}
"""Every status by its v3 code, in the order of the v3 list."""

# fmt: off
_V2_ORDER = (
    6, 15, 62989, 62993, 62990, 1002, 62991, 62992, 62995, 1999, 62996, 62994, 1998, 1000, 62997,
    12, 11, 93, 91, 80, 22, 13, 8, 7, 5, 4, 3, 1, 1337, 999, 1001, 2000, 2001, 92, 94,
)
# fmt: on


def v3_statuses() -> tuple[Status, ...]:
    """All statuses in the order of ``GET /api/v3/parcels/statuses``."""
    return _ALL


def v2_statuses() -> tuple[Status, ...]:
    """All statuses in the order of ``GET /api/v2/parcels/statuses``."""
    by_id = {status.v2_id: status for status in _ALL}
    return tuple(by_id[v2_id] for v2_id in _V2_ORDER)
