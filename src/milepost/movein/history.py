"""The past of a foreign parcel as an observation like any other, and what it amounts to."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from milepost.carriers.chronology import in_order
from milepost.carriers.localities import country_code
from milepost.carriers.moments import read_moment
from milepost.carriers.zones import zone_of
from milepost.errors import CarrierParseError
from milepost.movein.foreign import ForeignParcel, ForeignScan
from milepost.movein.tools import NOTICE, Tool
from milepost.tracking.events import Moment, Observation, Place, Scan, ZoneSource
from milepost.tracking.imported import SOURCE, summary_class
from milepost.tracking.legs import read_journey
from milepost.tracking.status import is_end, status_of
from milepost.tracking.timeline import internal, merge
from milepost.tracking.vocabulary import ExceptionCode, Reading

MOST_SCANS = 500
"""Of one parcel; the newest are kept."""
AHEAD = timedelta(days=1)
"""Clocks differ by so much at most; what is dated further ahead is a plan and no event."""
LONGEST_TEXT, LONGEST_CODE = 1000, 64
_SLASHES = re.compile(r"^(\d{4})/(\d\d?)/(\d\d?)")
_ZONE_GAP = re.compile(r"(?<=\d) (?=[+-]\d\d:?\d\d$)| ?UTC$")


@dataclass(frozen=True, slots=True)
class Past:
    """What a tool told of a parcel. ``is_over``: its journey has ended. ``remarks`` say what was
    not taken as it stood."""

    observation: Observation
    announced_at: datetime
    is_over: bool
    signed_by: str
    remarks: tuple[str, ...] = ()


def past_of(
    parcel: ForeignParcel, tool: Tool, carrier_code: str, home_zone: str, now: datetime
) -> Past:
    """The history of ``parcel``, told to us ``now``; times without an offset are local times of the
    place, else of ``home_zone``."""
    reader = _Reader(tool, home_zone, now)
    scans = reader.scans(parcel.scans, newest_first=parcel.newest_first)
    announced_at = reader.announced(parcel.announced, scans)
    over = _is_over(scans, carrier_code, announced_at, now)
    # A tool's own word on the whole parcel, where its scans do not say as much: an export without
    # any, a parcel that somebody marked as delivered.
    summary = None if over or parcel.status is None else reader.summary(parcel.status, scans)
    if summary is not None and (not scans or _may_end(summary.reading)):
        announced = reader.announced(parcel.announced, (*scans, summary))
        ends = _is_over((*scans, summary), carrier_code, announced, now)
        if ends or not scans:
            scans, announced_at, over = (*scans, summary), announced, ends
    observation = Observation(carrier_code, SOURCE, now, scans)
    return Past(observation, announced_at, over, parcel.signed_by[:255], reader.remarks())


def _is_over(
    scans: Sequence[Scan], carrier_code: str, announced_at: datetime, now: datetime
) -> bool:
    if not any(_may_end(scan.reading) for scan in scans):
        return False
    begun = merge((), internal(announced_at, now))
    events = merge(begun, Observation(carrier_code, SOURCE, now, tuple(scans)))
    return read_journey(events, announced_at).ended_at is not None


def _may_end(reading: Reading) -> bool:
    """Whether a journey can be over after it; whether it is, only the whole of it can say."""
    return reading.exception is not ExceptionCode.NONE or is_end(status_of(reading), reading)


class _Reader:
    """Reads the events of one parcel and keeps what could not be read."""

    def __init__(self, tool: Tool, home_zone: str, now: datetime) -> None:
        self._tool = tool
        self._home = home_zone
        self._now = now
        self._undated = 0
        self._ahead = 0
        self._cut = 0
        self._unknown: set[str] = set()

    def remarks(self) -> tuple[str, ...]:
        """In words, for the row's verdict."""
        told = []
        if self._undated:
            told.append(f"{_events(self._undated)} without a time we can read left out")
        if self._ahead:
            told.append(f"{_events(self._ahead)} in the future left out")
        if self._cut:
            told.append(f"the {self._cut} oldest events were left out")
        if self._unknown:
            names = ", ".join(sorted(self._unknown)[:3])
            told.append(f"no meaning is known of the status {names}")
        return tuple(told)

    def scans(self, told: Sequence[ForeignScan], *, newest_first: bool) -> tuple[Scan, ...]:
        """Every event with a time that has come, oldest first."""
        dated = [one for one in told if self._dated(one)]
        timed = in_order(dated, self._moment, newest_first=newest_first)
        past = [(moment, one) for moment, one in timed if moment.instant <= self._now + AHEAD]
        self._ahead += len(timed) - len(past)
        self._cut += max(0, len(past) - MOST_SCANS)
        return tuple(
            self._scan(one, moment, place) for place, (moment, one) in enumerate(past[-MOST_SCANS:])
        )

    def summary(self, status: ForeignScan, scans: Sequence[Scan]) -> Scan | None:
        """The word on the whole parcel; None where it says nothing about where the parcel is."""
        reading = self._tool.reading_of(status.statuses)
        if reading is None and status.statuses:
            self._unknown.add(status.statuses[-1])
        if reading in (None, NOTICE):
            return None
        if not status.text:
            word = (
                f"{self._tool.name} has it as {status.statuses[-1]}; its export has no event of it"
            )
            status = replace(status, text=word)
        if status.stated and self._readable(status):
            moment = self._moment(status, None)
            if moment.instant <= self._now + AHEAD:
                return self._scan(status, moment, len(scans), is_summary=True)
        if scans:
            return self._scan(status, scans[-1].moment, len(scans), is_summary=True)
        # Nobody tells when, so the time is no part of this event's key: it is told once.
        unknown = Moment("", self._now, "", "UTC", ZoneSource.ASSUMED)
        return self._scan(status, unknown, 0, is_summary=True)

    def announced(self, stated: str, scans: Sequence[Scan]) -> datetime:
        """When the parcel was announced: as told, never after its first scan, else now."""
        moments = [scan.moment.instant for scan in scans]
        told = ForeignScan(stated, ())
        if stated and self._readable(told):
            moments.append(self._moment(told, None).instant)
        return min([*moments, self._now]).astimezone(UTC)

    def _dated(self, one: ForeignScan) -> bool:
        readable = self._readable(one)
        self._undated += not readable
        return readable

    def _readable(self, one: ForeignScan) -> bool:
        try:
            self._moment(one, None)
        except CarrierParseError:
            return False
        return True

    def _moment(self, one: ForeignScan, previous: datetime | None) -> Moment:
        zone = zone_of(country_code(one.country), one.postal_code, self._home)
        return read_moment(as_iso(one.stated), zone, self._home, previous)

    def _scan(
        self, one: ForeignScan, moment: Moment, place: int, *, is_summary: bool = False
    ) -> Scan:
        reading = self._tool.reading_of(one.statuses)
        if reading is None:
            self._unknown.update(one.statuses[-1:])
        word = next((status for status in one.statuses if status), "")
        told = {"from": self._tool.name, "status": word, "confidence": "assumed"}
        return Scan(
            scan_class=(
                summary_class(self._tool.code, word[:LONGEST_CODE])
                if is_summary
                else self._class(one, word)
            ),
            raw_code=(one.raw_code or word)[:LONGEST_CODE],
            raw_text=one.text[:LONGEST_TEXT],
            moment=moment,
            reading=NOTICE if reading is None else reading,
            place=Place(
                city=one.city[:255],
                country_code=country_code(one.country),
                postal_code=one.postal_code[:32],
            ),
            position=place,
            raw_fields={**told, **{name: text[:255] for name, text in one.fields.items() if text}},
        )

    def _class(self, one: ForeignScan, word: str) -> str:
        """The tool, and the carrier's own code or else the words: the same export read twice tells
        the same events, and two scans of one minute stay two."""
        if one.raw_code:
            return f"{SOURCE} {self._tool.code} {one.raw_code[:LONGEST_CODE]}"
        text = " ".join(one.text.casefold().split()).encode("utf-8", "replace")
        digest = hashlib.blake2b(text, digest_size=6).hexdigest() if text else ""
        return f"{SOURCE} {self._tool.code} {word[:LONGEST_CODE]} {digest}".rstrip()


def _events(count: int) -> str:
    return f"{count} event{'' if count == 1 else 's'}"


def as_iso(stated: str) -> str:
    """The spellings of times that tools print, in the one that carriers' times are read from."""
    plain = stated.strip()
    if match := _SLASHES.match(plain):
        year, month, day = (int(part) for part in match.groups())
        plain = f"{year:04d}-{month:02d}-{day:02d}{plain[match.end() :]}"
    plain = _ZONE_GAP.sub(lambda found: "Z" if "UTC" in found[0] else "", plain)
    return plain.replace("t", "T").replace("z", "Z") if plain[:4].isdigit() else plain
