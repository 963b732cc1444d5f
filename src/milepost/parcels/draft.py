"""A registration as it will be stored: its row, its first event, and the words it is found by.

Pure. Many are drafted with one ``now``, and all that were announced at one time begin alike, so
what we say of that is made once for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from milepost.parcels.search import lexemes
from milepost.parcels.stored import StoredParcel, event_columns, status_columns
from milepost.tracking.events import Event
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.parcel import Registration, number_key
from milepost.tracking.timeline import internal, merge

FIRST_LOOK = timedelta(days=1)
"""By then a parcel's own deadlines are reckoned, whether anybody is asked about it or not."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A registration that only has to be stored; ``document`` has its contract id."""

    registration: Registration
    document: Mapping[str, Any]
    credential_missing: bool


@dataclass(frozen=True, slots=True)
class Beginning:
    """How every parcel announced at one time begins; ``columns`` are its part of a row."""

    events: tuple[Event, ...]
    journey: Journey
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Drafted:
    """A parcel before it has its id; ``row`` is one element of what ``register_parcels`` reads."""

    account_id: int
    ready: Ready
    beginning: Beginning
    created_at: datetime
    row: Mapping[str, Any]

    def stored(self, parcel_id: int) -> StoredParcel:
        """The parcel under the id it was given."""
        registration = self.ready.registration
        return StoredParcel(
            account_id=self.account_id,
            parcel_id=parcel_id,
            revision=1,
            carrier_code=registration.carrier_code,
            tracking_number=registration.tracking_number,
            source_id=registration.source_id,
            document=self.ready.document,
            announced_at=registration.announced_at,
            created_at=self.created_at,
            updated_at=self.created_at,
            ended_at=None,
            stopped_at=None,
            stop_reason="",
            estimate=None,
            extra={},
            event_count=1,
            lane_state="open",
            epoch=0,
            events=self.beginning.events,
        )


def draft(
    account_id: int, readies: Sequence[Ready], now: datetime, early: timedelta
) -> list[Drafted]:
    """Parcels that come to us ``now``, as they will be stored."""
    beginnings: dict[datetime, Beginning] = {}
    drafts = []
    for ready in readies:
        announced_at = ready.registration.announced_at
        beginning = beginnings.get(announced_at)
        if beginning is None:
            beginning = beginnings[announced_at] = _beginning(announced_at, now, early)
        row = _row(account_id, ready, beginning)
        drafts.append(Drafted(account_id, ready, beginning, now, row))
    return drafts


def identifier_key(document: Mapping[str, Any]) -> str:
    """The compared form of the alias a parcel was given, ``""`` for none."""
    number = document.get("tracking_number") or {}
    return number_key(number.get("tracking_identifier") or "")


def _beginning(announced_at: datetime, now: datetime, early: timedelta) -> Beginning:
    events = tuple(event.recorded(1, now) for event in merge((), internal(announced_at, now)))
    journey = read_journey(events, announced_at, early)
    (event,) = events
    columns = event_columns(event)
    told = {
        "event_key": columns["event_key"],
        "event_type": columns["event_type"],
        "event_carrier": columns["carrier_code"],
        "raw_code": columns["raw_code"],
        "mapping_version": columns["mapping_version"],
        # Written out once for all who share it.
        "fact": orjson.Fragment(orjson.dumps(columns["fact"])),
        "announced_at": announced_at,
        "next_deadline_at": now + FIRST_LOOK,
    }
    return Beginning(events, journey, status_columns(journey) | told)


def _row(account_id: int, ready: Ready, beginning: Beginning) -> dict[str, Any]:
    registration, document = ready.registration, ready.document
    number = registration.tracking_number
    words = lexemes(account_id, registration.carrier_code, number, registration.source_id, document)
    return {
        **beginning.columns,
        "tracking_number": number,
        "identifier_key": identifier_key(document),
        "request": document,
        "words": words,
    }
