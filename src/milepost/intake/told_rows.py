"""A row of a carrier's file, or an event pushed in our own form: which parcel it is about, and the
scan it tells. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import TypeVar

from milepost.carriers.answer_tree import clean_text
from milepost.carriers.chronology import in_order
from milepost.carriers.connector import DeliveryEstimate, Found
from milepost.carriers.file_form import WORDS, told_reading
from milepost.carriers.localities import country_code
from milepost.carriers.manifest import Manifest
from milepost.carriers.moments import read_moment, read_printed
from milepost.carriers.registry import Catalogue
from milepost.carriers.zones import Zone, zone_of
from milepost.errors import CarrierParseError
from milepost.tracking.events import Moment, Place, Scan
from milepost.tracking.vocabulary import UNREAD, Reading

T = TypeVar("T")

CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
"""Codes that something is brought under: in an address, as a folder. Parcels may have others."""
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

    def meaning(self, code: str, text: str, told: Reading | None) -> tuple[str, Reading]:
        """The carrier's own rules, then the reading that the row itself brings."""
        scan_class, reading = (
            self.manifest.classify(code, text) if self.manifest else (code, UNREAD)
        )
        if told is None or reading != UNREAD:
            return scan_class or f"uncoded:{text[:60]}", reading
        return code or ":".join((told.phase, told.exception, told.sub_status)), told

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


def read_telling(
    sender: Sender,
    values: Mapping[str, str],
    stated: str,
    time_form: str = "",
    fields: Mapping[str, str] | None = None,
) -> Telling:
    """What the named ``values`` (those that are empty left out) say, at the time ``stated``.

    The carrier's own rules come before our own words that stand beside its code. ``fields`` are
    kept with the scan besides those. Raises CarrierParseError for a value that is none.
    """
    for name, value in values.items():
        if len(value) > LONGEST_CELL and name != "text":
            raise CarrierParseError(f"{name}: longer than {LONGEST_CELL} characters")
    if "tracking_number" not in values:
        raise CarrierParseError("tracking_number: it says of no parcel")
    place = Place(
        city=clean_text(values.get("city", "")),
        country_code=country_code(values.get("country_code", "")),
        postal_code=values.get("postal_code", ""),
        street=values.get("street", ""),
        house_number=values.get("house_number", ""),
        depot=clean_text(values.get("depot", "")),
        service_point_id=values.get("service_point_id", ""),
    )
    clock = sender.clock(stated, place, time_form)
    code, text = values.get("code", ""), clean_text(values.get("text", ""))
    told = told_reading(values)
    if not (code or text or told):
        raise CarrierParseError("it says nothing: neither code nor text nor phase")
    scan_class, reading = sender.meaning(code, text, told)
    words = {str(name): values[name] for name in WORDS if name in values} if told else {}
    scan = Scan(
        scan_class=scan_class,
        raw_code=code,
        raw_text=text,
        moment=clock.moment(),
        reading=reading,
        place=place,
        raw_fields={**(fields or {}), **words},
        mapping_version=sender.mapping_version,
    )
    return Telling(clock, scan, _estimate(values), clean_text(values.get("signed_by", "")))


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


def _estimate(values: Mapping[str, str]) -> DeliveryEstimate | None:
    told = values.get("expected_delivery_date", "")
    try:
        return DeliveryEstimate(day=date.fromisoformat(told[:10])) if told else None
    except ValueError as error:
        raise CarrierParseError(f"expected_delivery_date: not a day: {told[:40]!r}") from error
