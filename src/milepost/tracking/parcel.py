"""A registered parcel as the rules and the wire see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from milepost.tracking.expectation import Expected


class MonitoringState(StrEnum):
    """Whether anybody asks about the parcel; never merely quiet."""

    WATCHING = "watching"
    WAITING_FOR_CREDENTIALS = "waiting_for_credentials"
    NOT_SUPPORTED = "not_supported"
    STOPPED = "stopped"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Monitoring:
    """A state and why, in a sentence a merchant understands."""

    state: MonitoringState
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A warning on a parcel: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client asked us to track, already liberal-in normalised.

    ``document`` is the whole request in answer form (addresses, ship_with, details, parcel_items,
    insurance, measurements, return_price, shipment, ...), every field kept. ``tracking_number`` is
    trimmed and otherwise as sent. ``tracking_url`` is the merchant's http(s) URL or ``""``.
    """

    carrier_code: str
    tracking_number: str
    source_id: str
    announced_at: datetime
    document: Mapping[str, Any]
    tracking_identifier: str = ""
    tracking_url: str = ""


@dataclass(frozen=True, slots=True)
class TrackedParcel:
    """What the wire needs besides the journey. ``tracking_url`` is resolved: merchant's, else the
    catalogue's, else ``""``. ``document`` has ``ship_with`` completed with a contract id.
    ``expected_delivery_date`` is the carrier's or the sender's day; ``expected`` may be our own
    guess and says whose it is. ``carrier_name`` is the catalogue's, ``""`` where it has none."""

    parcel_id: int
    carrier_code: str
    tracking_number: str
    source_id: str
    announced_at: datetime
    created_at: datetime
    updated_at: datetime
    document: Mapping[str, Any]
    monitoring: Monitoring
    tracking_identifier: str = ""
    tracking_url: str = ""
    warnings: tuple[Notice, ...] = ()
    expected_delivery_date: date | None = None
    expected: Expected | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    carrier_name: str = ""


def number_key(number: str) -> str:
    """The form of a tracking number that is compared: without blanks, upper case."""
    return "".join(number.split()).upper()


EVENT_ID_STRIDE = 10_000
"""Event ids are ``parcel_id * EVENT_ID_STRIDE + sequence``: unique, stable, rising with recording,
and known before the row is written, so that a snapshot can hold them without a round trip."""


def told_event_id(parcel_id: int, sequence: int) -> str:
    """The id of an event wherever it is told: answers (``event_id``, v2
    ``parcel_status_history_id``), feed, the ``webhook-id`` of its deliveries and their log.

    It rises with recording, holds no personal data and never changes; the event's ``sequence``
    numbers it within its parcel, from 1.
    """
    return str(parcel_id * EVENT_ID_STRIDE + sequence)
