"""One status of an IFTSTA message: the segment STS and those that stand under it."""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from milepost.carriers.answer_tree import clean_text
from milepost.carriers.connector import DeliveryEstimate
from milepost.carriers.transport_status import TransportStatus, read_status
from milepost.carriers.zones import zones_by_country
from milepost.errors import CarrierParseError
from milepost.intake.edifact import Segment
from milepost.intake.told_rows import LONGEST_CELL, Clock, FileRow, Sender, Telling
from milepost.tracking.events import Place, Scan

MOST_REFERENCES = 20
MOST_PIECES = 1_000
"""Pieces that one status may name; the directories have fewer."""
_REFERENCES = ("CN", "AAM", "AAS", "AWB", "BM", "CW", "SRN", "UCN")
"""1153: numbers that carriers give (consignment, waybill, transport document, package)."""
_PIECES = ("BJ", "ML", "BN", "AW")
"""7405 of GIN: SSCC, marking, serial number."""
_HAPPENED = ("334", "78", "35", "178", "186", "200", "7")
"""2005: when it came to be so, or when that was done; the first of these that is there."""
_ESTIMATES = ("17", "191")
_TIMES = re.compile(
    r"(?P<century>\d\d)?(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)"
    r"(?:(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?)?"
    r"(?P<zone>[A-Z]{1,4}|[+-]\d{4})?",
    re.ASCII,
)
_LENGTHS = {
    "101": 6,
    "102": 8,
    "201": 10,
    "202": 12,
    "203": 12,
    "204": 14,
    "205": 17,
    "303": 12,
    "304": 14,
}
"""Characters of a time in each form of 2379, without the letters of a zone."""
_FORM_OF = {6: "101", 8: "102", 10: "201", 12: "203", 14: "204", 17: "205"}
"""Where DTM names no form."""
_ZONES = {
    "Z": "Z",
    "UTC": "Z",
    "GMT": "Z",
    "WET": "+0000",
    "BST": "+0100",
    "CET": "+0100",
    "MEZ": "+0100",
    "CES": "+0200",
    "MES": "+0200",
    "EET": "+0200",
    "EES": "+0300",
}
"""Three letters are what the forms have room for; of longer names those are the first."""
_UN_LOCATION = re.compile(r"[A-Z]{2}[A-Z2-9]{3}", re.ASCII)


class StatusGroup:
    """What is said about one status."""

    def __init__(self, sts: Segment, release: str, problem: str = "") -> None:
        """``release`` is the directory's (``01B``); ``problem`` refuses the status."""
        self._sts = sts
        self._release = release
        self._problem = problem
        self._times: dict[str, Segment] = {}
        self._location: Segment | None = None
        self._words: list[str] = []
        self._references: list[str] = []
        self._pieces: list[tuple[int, str]] = []

    def spoil(self, why: str) -> None:
        """A segment of it can't be read, and may have said whose it is."""
        self._problem = self._problem or why

    def take(self, segment: Segment) -> None:
        """A segment under it."""
        match segment.name:
            case "DTM":
                self._times.setdefault(segment.text(0), segment)
            case "LOC":
                self._location = self._location or segment
            case "FTX" if len(self._words) < MOST_REFERENCES:
                self._words += [one for one in map(str.strip, _parts(segment, 3)) if one]
            case "RFF" if len(self._references) < MOST_REFERENCES:
                self._references += reference(segment)
            case "GIN" if segment.text(0) in _PIECES:
                # A range tells its ends; what lies between them nobody can count.
                found = [one.strip() for place in range(1, 6) for one in _parts(segment, place)]
                self._pieces += [(segment.number, one) for one in found if one]
                if len(self._pieces) > MOST_PIECES:
                    self.spoil(f"more than {MOST_PIECES} pieces under one status")

    def rows(self, sender: Sender, consignment: Sequence[str]) -> Iterator[FileRow]:
        """A row for each piece that is named, or one for the consignment.

        Where no parcel has a piece's number, the numbers of the consignment are looked for.
        """
        line = self._sts.number
        whole = _distinct((*self._references, *consignment))
        if self._problem:
            yield FileRow(line, whole, problem=self._problem)
            return
        try:
            telling, said = self._telling(sender)
        except CarrierParseError as error:
            yield FileRow(line, whole, problem=str(error))
            return
        for number, piece in self._pieces or [(line, "")]:
            numbers = _distinct((piece, *whole))
            if not numbers:
                yield FileRow(number, problem="it says of no parcel (GIN, RFF or CNI)")
            elif any(len(one) > LONGEST_CELL or "\ufffd" in one for one in numbers):
                yield FileRow(number, problem="a number is too long, or not of UNB's character set")
            else:
                yield FileRow(number, numbers, (*numbers, *said), telling)

    def _telling(self, sender: Sender) -> tuple[Telling, tuple[str, ...]]:
        status = TransportStatus(
            category=self._sts.text(0),
            status=self._sts.text(1),
            reason=self._sts.text(2),
            agency=self._sts.text(1, 2),
            release=self._release,
        )
        codes = (status.category, status.status, status.reason, status.agency)
        if any(len(code) > 17 for code in codes):
            raise CarrierParseError("a code of STS is too long")
        text = clean_text(self._sts.text(1, 3) or self._sts.text(2, 3) or " ".join(self._words))
        if not status.status and not text:
            raise CarrierParseError("STS says nothing: no code and no words")
        place = _place(self._location)
        clock = self._clock(sender, place)
        read = read_status(sender.manifest, status, text)
        scan = Scan(
            scan_class=read.scan_class,
            raw_code=read.raw_code,
            raw_text=text,
            moment=clock.moment(),
            reading=read.reading,
            place=place,
            raw_fields=status.fields(),
            mapping_version=sender.mapping_version,
        )
        said = (*codes, text, clock.stated, place.city, place.country_code, place.depot)
        return Telling(clock, scan, self._estimate(sender, place)), said

    def _clock(self, sender: Sender, place: Place) -> Clock:
        dtm = next((self._times[name] for name in _HAPPENED if name in self._times), None)
        if dtm is None:
            raise CarrierParseError("no time of the status (DTM)")
        return _clock(sender, place, dtm)

    def _estimate(self, sender: Sender, place: Place) -> DeliveryEstimate | None:
        dtm = next((self._times[name] for name in _ESTIMATES if name in self._times), None)
        if dtm is None:
            return None
        try:
            moment = _clock(sender, place, dtm).moment()
        except CarrierParseError:
            return None
        return DeliveryEstimate(day=date.fromisoformat(moment.home_minute[:10]))


def reference(rff: Segment) -> list[str]:
    """The number in an RFF, where it is one that carriers give."""
    number = rff.text(0, 1)
    return [number] if rff.text(0) in _REFERENCES and number else []


def _clock(sender: Sender, place: Place, dtm: Segment) -> Clock:
    """The time of a DTM, in ISO 8601: digits alone may mean anything."""
    stated = dtm.text(0, 1)
    form = dtm.text(0, 2) or _FORM_OF.get(len(stated), "")
    length = _LENGTHS.get(form)
    # 101 and 201 have no century, and 202 and 203 are of one length.
    century = "" if form in ("101", "201", "202") else stated[:2]
    found = _TIMES.fullmatch(stated if century else f"20{stated}")
    if length is None or found is None:
        raise CarrierParseError(f"DTM has no time that is read: {stated[:20]!r} as {form[:10]!r}")
    zone = found["zone"] or ""
    letters = len(zone) if zone.isalpha() else 0
    if len(stated) - letters != length or (letters and form not in ("303", "304")):
        raise CarrierParseError(f"DTM is not as long as its form: {stated[:20]!r}")
    offset = zone if not letters else _ZONES.get(zone[:3])
    if offset is None:
        raise CarrierParseError(f"DTM has a zone that is not known: {zone!r}")
    day = f"{found['century']}{found['year']}-{found['month']}-{found['day']}"
    if not found["hour"]:
        return sender.clock(day, place)
    return sender.clock(
        f"{day}T{found['hour']}:{found['minute']}:{found['second'] or '00'}{offset}", place
    )


def _place(loc: Segment | None) -> Place:
    """A UN location begins with its country; any other code is the carrier's own."""
    if loc is None:
        return Place()
    code, name = loc.text(1), clean_text(loc.text(1, 3))[:LONGEST_CELL]
    country = next((one for one in (loc.text(2), loc.text(3)) if one in zones_by_country()), "")
    if _UN_LOCATION.fullmatch(code) and code[:2] in zones_by_country() and not country:
        return Place(city=name, country_code=code[:2], depot=code)
    return Place(city=name, country_code=country, depot=clean_text(code)[:LONGEST_CELL])


def _parts(segment: Segment, element: int) -> tuple[str, ...]:
    return segment.elements[element] if element < len(segment.elements) else ()


def _distinct(numbers: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in numbers if one))[:MOST_REFERENCES]
