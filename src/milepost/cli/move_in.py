"""Rows of another tool's export: read, given a carrier of ours, judged like any registration."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import TextIOWrapper
from typing import Any

from milepost.api.json_input import JsonLimits, judge, read_json
from milepost.api.problems import Problem, problem_of
from milepost.api.v3_models import read_registration
from milepost.cli.import_columns import document_of, surely_fine, told, with_option
from milepost.cli.import_sheets import Naming, Read, begins_with, open_csv, shortened
from milepost.cli.json_rows import json_rows
from milepost.cli.parcels import Desk
from milepost.errors import ConfigurationError, InvalidInput
from milepost.intake.csv_rows import Row, undecoded
from milepost.intake.verdicts import Fingerprints
from milepost.movein.cells import columns_of, read_cells
from milepost.movein.exports import READERS
from milepost.movein.foreign import ForeignParcel
from milepost.movein.history import Past, past_of
from milepost.movein.registration import NOWHERE, registration_of
from milepost.movein.tools import CODES, Tool, tool

_LIMITS = JsonLimits(keys=100_000)
_NO_ZONE = "UTC"
"""The clock of a carrier we know nothing of."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What an export held beside its parcels, for the summary: rows by what they are about."""

    left_out: Counter[str] = field(default_factory=Counter)
    unknown_carriers: Counter[str] = field(default_factory=Counter)
    totals: Counter[str] = field(default_factory=Counter)

    def facts(self) -> dict[str, object]:
        """In words and numbers."""
        return {
            "events": self.totals["events"],
            "ended": self.totals["ended"],
            "no_country": self.totals["no_country"],
            "unknown_carriers": _listed(self.unknown_carriers),
            "left_out": _listed(self.left_out),
        }


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{name} ({rows})" for name, rows in counted.most_common(20))


def read_carriers(given: Sequence[str]) -> dict[str, str]:
    """``--carrier theirs=ours``, for what a table doesn't have. ConfigurationError for others."""
    names = {}
    for one in given:
        theirs, equals, ours = one.rpartition("=")
        if not equals or not theirs.strip() or not ours.strip():
            raise ConfigurationError(f"--carrier takes THEIRS=OURS, not {one}")
        names[theirs.strip().casefold()] = ours.strip().lower()
    return names


class Export:
    """An open export of a tool, CSV or JSON."""

    def __init__(
        self,
        given: Tool,
        desk: Desk,
        naming: Naming,
        fixed: Mapping[str, str],
        carriers: Mapping[str, str],
    ) -> None:
        self.rows: Iterator[Row] = iter(())
        self.tally = Tally()
        self._tool = given
        self._desk = desk
        self._naming = naming
        self._fixed = document_of(fixed)
        self._carriers = carriers
        self._columns: tuple[str, ...] = ()
        self._common = [given.code, *(f"{name}={value}" for name, value in fixed.items())]
        self._fingerprints = Fingerprints(0, (), ())

    def open(self, text: TextIOWrapper, common: Sequence[str]) -> None:
        """Find out what kind of file it is. Raises ConfigurationError for what is no export."""
        shared = [*self._common, *(f"{name}>{ours}" for name, ours in self._carriers.items())]
        header: tuple[str, ...] = ()
        first = begins_with(text)
        if first == "":
            raise ConfigurationError(f"the file is empty; expected are {self._tool.expected}")
        if first in "[{":
            self.rows = json_rows(text, self._tool.wrappers)
        else:
            header, self.rows = open_csv(text)
            self._columns = columns_of(header, self._tool)
        self._fingerprints = Fingerprints(self._desk.account_id, header, [*shared, *common])

    def number(self, row: Row) -> str:
        """The number of a row, if it can be read."""
        parcel = self._parcel(row)
        return "" if isinstance(parcel, str) else shortened(parcel.number)

    def fingerprint(self, row: Row) -> int:
        """Of what stands there."""
        return self._fingerprints.of(row.cells)

    async def read(self, row: Row) -> Read | str:
        """The registration and the past of a row."""
        parcel = row.problem or self._parcel(row)
        if isinstance(parcel, str):
            return parcel
        if not parcel.number:
            return f"no tracking number; is this an export of {self._tool.name}?"
        now = datetime.now(UTC)
        code, notes = self._carrier_of(parcel)
        if not code:
            named = await self._naming(registration_of(parcel, code, now, self._fixed))
            if named.problem is not None:
                return told(named.problem)
            number = named.document["tracking_number"]
            code = number["carrier_code"]
            parcel = replace(parcel, number=number["tracking_number"])
            notes.append(f"recognised as {code}")
        past = past_of(parcel, self._tool, code, self._zone(code), now)
        document = registration_of(parcel, code, past.announced_at, self._fixed)
        # What comes from JSON was judged as it was read.
        if self._columns and not surely_fine("".join(row.cells)):
            try:
                judge(document, _LIMITS)
                # Of the past too: what a database can't hold would end the whole import.
                judge(_texts_of(past), _LIMITS)
            except InvalidInput as refused:
                return told(problem_of(refused))
        registration = read_registration(with_option(document))
        if isinstance(registration, Problem):
            return told(registration)
        self._count(parcel, past, document, code)
        return Read(registration, past, "; ".join((*notes, *_remarks(past))))

    def _parcel(self, row: Row) -> ForeignParcel | str:
        if any(not cell.isascii() and undecoded(cell) for cell in row.cells):
            return "bytes that are not of the file's encoding; see --encoding"
        if self._columns:
            if any(row.cells[len(self._columns) :]):
                return (
                    f"the row has {len(row.cells)} cells, the first line has {len(self._columns)}"
                )
            try:
                return read_cells(self._columns, row.cells, self._tool)
            except ConfigurationError as spoiled:
                return str(spoiled)
        return self._document(row.cells[0] if row.cells else "")

    def _document(self, text: str) -> ForeignParcel | str:
        try:
            given = read_json(text.encode("utf-8", "replace"), _LIMITS)
        except InvalidInput as refused:
            return told(problem_of(refused))
        if not isinstance(given, dict):
            return "not an object"
        return READERS[self._tool.code](given)

    def _carrier_of(self, parcel: ForeignParcel) -> tuple[str, list[str]]:
        """Our code, or theirs where it is none of ours; ``""`` where they name none."""
        names = (parcel.carrier, parcel.carrier_name)
        mapped = (self._carriers.get(name.casefold()) for name in names if name)
        ours = next((code for code in mapped if code), "") or self._tool.carrier_of(*names)
        theirs = parcel.carrier or parcel.carrier_name
        if ours or not theirs:
            return ours, []
        free = theirs.casefold()
        if free.isdecimal():
            free = f"{self._tool.code}-{free}"
        if self._desk.core.catalogue.get(free) is not None:
            return free, []
        return free, [f"carrier {shortened(theirs)} is none of ours: kept as it is, not watched"]

    def _zone(self, code: str) -> str:
        carrier = self._desk.core.catalogue.get(code)
        return carrier.manifest.home_zone if carrier is not None else _NO_ZONE

    def _count(self, parcel: ForeignParcel, past: Past, document: Any, code: str) -> None:
        tally = self.tally
        tally.left_out.update(dict.fromkeys(parcel.left_out, 1))
        tally.totals["events"] += len(past.observation.scans)
        tally.totals["ended"] += past.is_over
        tally.totals["no_country"] += document["to_address"]["country_code"] == NOWHERE
        if self._desk.core.catalogue.get(code) is None:
            tally.unknown_carriers[code] += 1


def _texts_of(past: Past) -> dict[str, list[str]]:
    """What of a past is a row's own words, by the columns they come from."""
    scans = past.observation.scans
    return {
        "signed_by": [past.signed_by],
        "text": [scan.raw_text for scan in scans],
        "status": [scan.raw_code for scan in scans],
    }


def _remarks(past: Past) -> Iterator[str]:
    events = len(past.observation.scans)
    if events:
        yield f"{events} event{'s' if events > 1 else ''}"
    if past.is_over:
        yield "ended, not watched"
    yield from past.remarks


def tool_named(code: str) -> Tool:
    """The tool of ``--from``. ConfigurationError for another."""
    if code not in CODES:
        raise ConfigurationError(f"--from takes {', '.join(CODES)}, not {code}")
    return tool(code)
