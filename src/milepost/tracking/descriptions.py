"""English sentences for readings, as the v3 API and the pages say them.

Clients in the field classify events by words in this text: "delivered" anywhere makes a parcel
delivered, "cancel" cancelled, "return" returned, "picked up" or "sorting" shipped. So these words
stand only where they are true, and never a carrier's own text.
"""

from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading

_BY_PHASE = {
    Phase.NONE: "No status yet",
    Phase.NO_LABEL: "No label",
    Phase.READY_TO_SEND: "Ready to send",
    Phase.ANNOUNCING: "Being announced",
    Phase.ANNOUNCED: "Announced",
    Phase.LABELLED: "Parcel has been labelled",
    Phase.DROPPED: "Parcel has been dropped off",
    Phase.ACCEPTED: "Parcel has been accepted by carrier",
    Phase.SORTED: "Parcel in sorting process",
    Phase.IN_TRANSIT: "Parcel is on its way",
    Phase.CUSTOMS: "Parcel is at customs",
    Phase.IN_DELIVERY: "Parcel in delivery process",
    Phase.ATTEMPTED: "Delivery attempt failed",
    Phase.PUP: "Parcel is ready for pick-up",
    Phase.DELIVERED: "Parcel has been delivered",
    Phase.DELIVERY_FORCED: "Delivery was confirmed automatically",
    Phase.CANCELLED: "Parcel has been cancelled",
    Phase.UNKNOWN: "Unknown status",
}

_BY_EXCEPTION = {
    ExceptionCode.ADDRESS_ERROR: "The address is wrong or incomplete",
    ExceptionCode.ANNOUNCEMENT_FAILED: "The carrier did not take the announcement",
    ExceptionCode.CANCELLATION_FAILED: "The request to stop the parcel failed",
    ExceptionCode.CANCELLING: "The sender asked to stop the parcel",
    ExceptionCode.CANCELLING_UPSTREAM: "The sender asked the carrier to stop the parcel",
    ExceptionCode.CHANGED: "The delivery was rescheduled or redirected",
    ExceptionCode.CLAIM: "A claim was made for this parcel",
    ExceptionCode.CUSTOMER_REJECTED: "The recipient refused the parcel",
    ExceptionCode.CUSTOMER_SUPPORT: "The carrier needs more information",
    ExceptionCode.CUSTOMS_ISSUE: "There is a problem with the parcel",
    ExceptionCode.DAMAGED: "Parcel is damaged",
    ExceptionCode.DELAY_UNKNOWN: "Parcel is delayed",
    ExceptionCode.DELIVERY_DELAY: "Parcel is delayed",
    ExceptionCode.DROPOFF_EXPIRATION: "Parcel was not dropped off in time",
    ExceptionCode.HANDOVER_DELAY: "The carrier does not have the parcel yet",
    ExceptionCode.HOLD: "Parcel is on hold",
    ExceptionCode.MISSING: "Parcel is missing",
    ExceptionCode.NON_CONFORMITY: "Parcel does not meet the carrier's conditions",
    ExceptionCode.OFF_RADAR: "No news of the parcel for a while",
    ExceptionCode.PUP_EXPIRATION: "The time for pick-up has expired",
    ExceptionCode.REFUSED: "The recipient refused the parcel",
    ExceptionCode.SORTING_DELAY: "Parcel is delayed",
    ExceptionCode.UNKNOWN: "There is a problem with the parcel",
}

_CANCELLED = frozenset({ExceptionCode.CANCELLED, ExceptionCode.CANCELLED_UPSTREAM})
_FAILED = frozenset(
    {ExceptionCode.DELIVERY_DELAY, ExceptionCode.DELAY_UNKNOWN, ExceptionCode.UNKNOWN}
)
_HANDED_OVER = frozenset({Phase.DELIVERED, Phase.DELIVERY_FORCED})


def describe(reading: Reading) -> str:
    """What a reading means for a reader: the exception where there is one, else the phase."""
    exception, phase = reading.exception, reading.phase
    if phase in _HANDED_OVER:
        if exception is ExceptionCode.RETURNED_SENDER:
            return "Parcel has been returned to the sender"
        return _BY_PHASE[phase]
    if exception is ExceptionCode.RETURNED_SENDER:
        return "Parcel is being returned to the sender"
    if phase is Phase.CANCELLED or exception in _CANCELLED:
        return _BY_PHASE[Phase.CANCELLED]
    if phase is Phase.CUSTOMS and exception is ExceptionCode.CUSTOMS_ISSUE:
        return "Parcel is held at customs"
    if phase is Phase.ATTEMPTED and exception in _FAILED:
        return _BY_PHASE[phase]
    if phase is Phase.UNKNOWN and exception is ExceptionCode.UNKNOWN:
        return _BY_PHASE[phase]
    return _BY_EXCEPTION.get(exception, _BY_PHASE[phase])
