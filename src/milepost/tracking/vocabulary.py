"""The words of the house: Sendcloud's Event Subscriptions vocabulary (v3 OpenAPI enums)."""

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    """Who says it: the carrier, we ourselves, our arithmetic, or a claim."""

    CARRIER = "carrier"
    INTERNAL = "internal"
    CALCULATED = "calculated"
    CLAIM = "claim"


class Phase(StrEnum):
    """Where the parcel is on its way after the event."""

    NONE = "none"
    NO_LABEL = "no_label"
    READY_TO_SEND = "ready_to_send"
    ANNOUNCING = "announcing"
    ANNOUNCED = "announced"
    LABELLED = "labelled"
    DROPPED = "dropped"
    ACCEPTED = "accepted"
    SORTED = "sorted"
    IN_TRANSIT = "in_transit"
    CUSTOMS = "customs"
    IN_DELIVERY = "in_delivery"
    ATTEMPTED = "attempted"
    PUP = "pup"
    DELIVERED = "delivered"
    DELIVERY_FORCED = "delivery_forced"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ExceptionCode(StrEnum):
    """What went wrong, ``none`` if nothing."""

    NONE = "none"
    ADDRESS_ERROR = "address_error"
    ANNOUNCEMENT_FAILED = "announcement_failed"
    CANCELLATION_FAILED = "cancellation_failed"
    CANCELLED = "cancelled"
    CANCELLED_UPSTREAM = "cancelled_upstream"
    CANCELLING = "cancelling"
    CANCELLING_UPSTREAM = "cancelling_upstream"
    CHANGED = "changed"
    CLAIM = "claim"
    CLAIMABLE = "claimable"
    CUSTOMER_REJECTED = "customer_rejected"
    CUSTOMER_SUPPORT = "customer_support"
    CUSTOMS_ISSUE = "customs_issue"
    DAMAGED = "damaged"
    DELAY_UNKNOWN = "delay_unknown"
    DELIVERY_DELAY = "delivery_delay"
    DROPOFF_EXPIRATION = "dropoff_expiration"
    HANDOVER_DELAY = "handover_delay"
    HOLD = "hold"
    MISSING = "missing"
    NON_CONFORMITY = "non_conformity"
    OFF_RADAR = "off_radar"
    PUP_EXPIRATION = "pup_expiration"
    REFUSED = "refused"
    RELABELLED = "relabelled"
    RETURNED_SENDER = "returned_sender"
    SORTING_DELAY = "sorting_delay"
    UNKNOWN = "unknown"


class StatusType(StrEnum):
    """Normal, late or held but may still arrive, or in need of a person."""

    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class SubStatus(StrEnum):
    """The detail beside phase and exception."""

    NONE = "none"
    ACCEPTED = "accepted"
    ADDITIONAL_INFORMATION = "additional_information"
    CARRIER = "carrier"
    COMPANY_CLOSED = "company_closed"
    CONNECTION_MISSED = "connection_missed"
    CONTENT = "content"
    CUT_OFF = "cut_off"
    DAMAGED = "damaged"
    DELAY = "delay"
    DELIVERY_CHANGE = "delivery_change"
    DISPOSED = "disposed"
    DOCUMENTS = "documents"
    DUPLICATE = "duplicate"
    EXPIRED = "expired"
    HIGH_VOLUME = "high_volume"
    INACCESSIBLE = "inaccessible"
    INCORRECT_INFORMATION = "incorrect_information"
    IN_PROGRESS = "in_progress"
    LATE = "late"
    LOCKER = "locker"
    MAILBOX = "mailbox"
    MAX_MEASURE = "max_measure"
    MAX_WEIGHT = "max_weight"
    MECHANICAL = "mechanical"
    MISROUTED = "misrouted"
    MISSORT = "missort"
    NEIGHBOUR = "neighbour"
    NOT_HOME = "not_home"
    NOT_ORDERED = "not_ordered"
    ONE = "one"
    PACKAGING = "packaging"
    PARCEL_FOUND = "parcel_found"
    PARTLY = "partly"
    PASSED = "passed"
    PAYMENT = "payment"
    POSTAL_BOX = "postal_box"
    PROHIBITED_ITEM = "prohibited_item"
    PUP = "pup"
    PUP_CLOSED = "pup_closed"
    RECEIVER = "receiver"
    REJECTED = "rejected"
    REQUESTED = "requested"
    RESOLVED = "resolved"
    SAFEPLACE = "safeplace"
    SENDER = "sender"
    SHOP = "shop"
    SIGNATURE = "signature"
    THREE = "three"
    TRAFFIC = "traffic"
    TWO = "two"
    UNDELIVERABLE = "undeliverable"
    UNKNOWN = "unknown"
    UNKNOWN_RECEIVER = "unknown_receiver"
    UPDATED = "updated"
    WEATHER_CONDITIONS = "weather_conditions"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an event says in the house's words."""

    phase: Phase
    exception: ExceptionCode = ExceptionCode.NONE
    status_type: StatusType = StatusType.SUCCESS
    sub_status: SubStatus = SubStatus.NONE


UNREAD = Reading(Phase.UNKNOWN, ExceptionCode.UNKNOWN, StatusType.WARNING, SubStatus.UNKNOWN)
"""A code nobody has mapped yet: counted, shown, never guessed."""
