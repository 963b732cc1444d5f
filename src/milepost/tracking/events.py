"""What a carrier told us (``Observation`` of ``Scan``s) and what we keep of it (``Event``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from milepost.tracking.vocabulary import EventType, Reading


class ZoneSource(StrEnum):
    """Where the time zone of a stated time comes from."""

    CARRIER = "carrier"  # an offset or zone was sent
    PLACE = "place"  # the zone of the event's country
    ASSUMED = "assumed"  # the carrier's home zone


class Precision(StrEnum):
    """How exact a stated time is."""

    INSTANT = "instant"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scan happened; empty strings where the carrier says nothing."""

    city: str = ""
    country_code: str = ""
    postal_code: str = ""
    street: str = ""
    house_number: str = ""
    depot: str = ""
    service_point_id: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as the carrier states it, and how we read it.

    ``instant`` is UTC. With ``Precision.DAY`` it is the end of the stated local day.
    ``home_minute`` is ``YYYY-MM-DDTHH:MM`` (``YYYY-MM-DD`` for a day) on the carrier's home clock,
    as it prints it: the part of the time that identifies a scan.
    """

    stated: str
    instant: datetime
    home_minute: str
    zone: str
    zone_source: ZoneSource
    precision: Precision = Precision.INSTANT


@dataclass(frozen=True, slots=True)
class Scan:
    """One event as a connector read it from one answer, before it is matched with what we hold.

    ``scan_class`` is the raw code, the manifest's ``same_as`` name, or the id of the text rule that
    matched. ``position`` counts from the oldest scan of the answer (0) to the newest.
    """

    scan_class: str
    raw_code: str
    raw_text: str
    moment: Moment
    reading: Reading
    place: Place = Place()
    position: int = 0
    leg: Literal["", "return"] = ""
    raw_fields: Mapping[str, str] = field(default_factory=dict)
    mapping_version: int = 1
    event_type: EventType = EventType.CARRIER


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one source said about one parcel at one time.

    ``source`` is ``poll``, ``push``, ``file``, ``own``, ``import`` or ``internal``; ``complete``
    means the whole history was told, so that a missing event means something.
    """

    carrier_code: str
    source: str
    observed_at: datetime
    scans: tuple[Scan, ...]
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """When one source first and last told an event (UTC).

    ``complete``: at least one of these tellings was part of a complete answer.
    """

    source: str
    first_seen: datetime
    last_seen: datetime
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Wording:
    """One telling of an event: text, code, fields, place and reading, and who told it when.

    ``observed_at`` and ``source`` are of its latest repetition. ``position`` is the greatest place
    the event had in any answer; only the wording that is shown carries it.
    """

    source: str
    observed_at: datetime
    raw_code: str
    raw_text: str
    raw_fields: Mapping[str, str]
    place: Place
    moment: Moment
    reading: Reading
    leg: Literal["", "return"]
    position: int
    mapping_version: int


@dataclass(frozen=True, slots=True)
class Event:
    """One physical scan, however often and in whatever words it was told.

    ``key`` identifies it within its parcel; ``wording`` is the telling that is shown, ``revisions``
    are the older ones, newest first. ``replaced`` are the events whose place it took when the
    carrier corrected a scan, kept whole so that nothing depends on the order of arrival.
    ``sequence`` counts within the parcel in order of recording; 0 means not stored yet.
    ``first_seen`` is the earliest sighting (UTC).
    """

    key: str
    carrier_code: str
    event_type: EventType
    scan_class: str
    wording: Wording
    sightings: tuple[Sighting, ...]
    revisions: tuple[Wording, ...] = ()
    sequence: int = 0
    recorded_at: datetime | None = None
    withdrawn_at: datetime | None = None
    replaced: tuple["Event", ...] = ()

    def recorded(self, sequence: int, at: datetime) -> "Event":
        """It as row ``sequence`` of its parcel, first stored ``at`` (UTC)."""
        return Event(
            self.key,
            self.carrier_code,
            self.event_type,
            self.scan_class,
            self.wording,
            self.sightings,
            self.revisions,
            sequence,
            at,
            self.withdrawn_at,
            self.replaced,
        )

    @property
    def first_seen(self) -> datetime:
        """The earliest time any source told it."""
        return min([sighting.first_seen for sighting in self.sightings])

    @property
    def last_seen(self) -> datetime:
        """The latest time any source told it."""
        return max([sighting.last_seen for sighting in self.sightings])

    @property
    def effective_at(self) -> datetime:
        """When it happened: the stated time, but never after it was first told (UTC).

        A carrier that states only a day means the end of that day (``Moment.instant``).
        """
        return min(self.wording.moment.instant, self.first_seen)
