"""A row of a carrier's file: which parcel it is about, and the scan it tells. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from milepost.carriers.chronology import in_order
from milepost.carriers.connector import DeliveryEstimate, Found
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import read_moment, read_printed
from milepost.carriers.registry import Catalogue
from milepost.carriers.zones import Zone, zone_of
from milepost.tracking.events import Moment, Place, Scan

T = TypeVar("T")

HOME_ZONE = "UTC"
"""The clock of a carrier we have no folder of."""
LONGEST_CELL = 255
"""Characters of a number, a code or a place; words are cut as those of an answer are."""


@dataclass(frozen=True)
class Sender:
    """Whose file it is; ``manifest`` is None for a code that the catalogue does not have."""

    code: str
    manifest: Manifest | None = None

    @classmethod
    def of(cls, code: str, catalogue: Catalogue) -> "Sender":
        """Read by the rules of the carrier that answers for it, as its answers are."""
        known = catalogue.get(code)
        return cls(code, known.asked.manifest if known else None)

    @cached_property
    def home_zone(self) -> str:
        """The clock its times are by, where no place tells another."""
        return self.manifest.home_zone if self.manifest else HOME_ZONE

    @property
    def mapping_version(self) -> int:
        """Of the rules its rows are read by."""
        return self.manifest.mapping_version if self.manifest else 1

    def clock(self, stated: str, place: Place, form: str = "") -> "Clock":
        """``stated``, printed as ``form`` says (ISO 8601 if empty), on the clock of ``place``."""
        zone = zone_of(place.country_code, place.postal_code, self.home_zone)
        return Clock(stated, form, zone, self.home_zone)


@dataclass(frozen=True, slots=True)
class Clock:
    """A time as a file states it, and the clock that it is by."""

    stated: str
    form: str
    zone: Zone
    home_zone: str

    def moment(self, previous: datetime | None = None) -> Moment:
        """When that was (see ``read_moment``). Raises CarrierParseError for what is no time."""
        if self.form:
            return read_printed(self.stated, self.form, self.zone, self.home_zone, previous)
        return read_moment(self.stated, self.zone, self.home_zone, previous)


@dataclass(frozen=True, slots=True)
class Telling:
    """What a row says; ``scan`` has the time that the row alone gives."""

    clock: Clock
    scan: Scan
    estimate: DeliveryEstimate | None = None
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row that begins at ``line``, and what it says or why it is refused.

    ``numbers`` are those its parcel may be known by, the likeliest first; ``said`` is all that it
    tells, by which the very same row is known again.
    """

    line: int
    numbers: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    telling: Telling | None = None
    problem: str = ""

    @property
    def number(self) -> str:
        """For people."""
        return self.numbers[0] if self.numbers else ""


def one_telling(tellings: Iterable[Telling]) -> Found:
    """What several rows say about one parcel, from the oldest scan to the newest.

    Never complete: a file has what happened since the one before. Of estimates and signatures the
    newest scan's counts.
    """
    ordered = in_order(list(tellings), lambda one, previous: one.clock.moment(previous))
    scans = tuple(
        replace(one.scan, moment=moment, position=place)
        for place, (moment, one) in enumerate(ordered)
    )
    return Found(
        scans,
        complete=False,
        estimate=_newest([one.estimate for _, one in ordered]),
        signed_by=_newest([one.signed_by or None for _, one in ordered]) or "",
    )


def _newest(values: Sequence[T | None]) -> T | None:
    return next((value for value in reversed(values) if value is not None), None)
