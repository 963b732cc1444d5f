"""A carrier's CSV file as rows that each tell one status, whatever its headings are called.

Which encoding: a byte order mark says it, else the caller, else the carrier's manifest; else it is
UTF-8 where all of the file is that, and cp1252 (which has what Latin-1 has) where it is not.
"""

import codecs
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, get_args

from milepost.carriers.file_form import Column, FileForm
from milepost.errors import CarrierParseError, FileUnreadable
from milepost.intake.csv_rows import (
    Counted,
    Row,
    rows_of,
    separator_in,
    text_of,
    told_separator,
    undecoded,
)
from milepost.intake.told_rows import LONGEST_CELL, FileRow, Sender, Telling, read_telling
from milepost.wire.spreadsheet import unguarded

HEADER = 64 * 1024
"""Characters of a first line at most."""
_OURS: tuple[str, ...] = get_args(Column)
_OTHER_NAMES = {
    "number": "tracking_number",
    "time": "event_at",
    "date": "event_date",
    "place": "city",
    "country": "country_code",
}
_FALLBACK = "cp1252"
# Spreadsheets are kept from eating leading zeros by making a number a formula of itself.
_FORMULA = re.compile(r'="([^"]*)"')


class CsvFeed:
    """The rows of a file. Raises FileUnreadable for one whose first line names nothing of ours."""

    def __init__(self, file: BinaryIO, sender: Sender, encoding: str = "") -> None:
        """``file`` is one that can be gone back in; ``encoding`` overrules the manifest's."""
        self._sender = sender
        self._form = sender.manifest.files if sender.manifest else FileForm()
        encoding = encoding or self._form.encoding or _encoding_of(file)
        file.seek(0)
        text = text_of(Counted(file), encoding)
        try:
            header = text.readline(HEADER)
        except (UnicodeError, ValueError) as error:
            raise FileUnreadable(1, f"the first line is not {text.encoding}") from error
        named, told = told_separator(header)
        separator = told or self._form.separator or separator_in(header)
        self._rows = rows_of(text, separator, "" if named else header)
        first = next(self._rows, Row(1, problem="the file is empty"))
        if first.problem:
            raise FileUnreadable(first.line, first.problem)
        self._columns = _columns(first.cells, self._form)
        self.identity: tuple[str, ...] = (sender.code, *first.cells)

    def __iter__(self) -> Iterator[FileRow]:
        try:
            for row in self._rows:
                yield self._read(row)
        except UnicodeError as error:
            raise FileUnreadable(0, "it can't be decoded to its end") from error

    def _read(self, row: Row) -> FileRow:
        if row.problem:
            return FileRow(row.line, problem=row.problem)
        values: dict[str, str] = {}
        for name, cell in zip(self._columns, row.cells, strict=False):
            if name and cell.strip():
                values[name] = _cell(cell)
        number = values.get("tracking_number", "")
        try:
            telling = self._telling(values)
        except CarrierParseError as refused:
            shown = number[:LONGEST_CELL].encode("utf-8", "replace").decode()
            return FileRow(row.line, (shown,) if shown else (), problem=str(refused))
        return FileRow(row.line, (number,), row.cells, telling)

    def _telling(self, values: Mapping[str, str]) -> Telling:
        for name, value in values.items():
            _check(name, value)
        return read_telling(self._sender, values, _stated(values), self._form.time_form)


def _encoding_of(file: BinaryIO) -> str:
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while block := file.read(1024 * 1024):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _FALLBACK
    return "utf-8"


def _columns(cells: Sequence[str], form: FileForm) -> tuple[str, ...]:
    """Our name for each cell of the first line, "" for what we have no use for."""
    theirs = {_folded(heading): name for name, heading in form.columns.items()}
    folded = [_folded(cell) for cell in cells]
    dated = "date" in folded or "event_date" in folded or "event_date" in form.columns
    names = []
    for one in folded:
        name: str = theirs.get(one, "") or _OTHER_NAMES.get(one, one)
        if one == "time" and one not in theirs and dated:
            name = "event_time"
        names.append(name if name in _OURS else "")
    for name in names:
        if name and names.count(name) > 1:
            raise FileUnreadable(1, f"the first line names {name} twice")
    if "tracking_number" not in names:
        close = difflib.get_close_matches("tracking_number", folded, 1)
        hint = f" (is {close[0][:40]!r} meant?)" if close else ""
        raise FileUnreadable(1, f"the first line names no column tracking_number{hint}")
    if "event_at" not in names and "event_date" not in names:
        raise FileUnreadable(1, "the first line names no column event_at or event_date")
    if not {"code", "text", "phase"} & set(names):
        raise FileUnreadable(1, "the first line names no column code, text or phase")
    return tuple(names)


def _folded(heading: str) -> str:
    return re.sub(r"[ \-]+", "_", heading.strip().casefold())


def _cell(cell: str) -> str:
    formula = _FORMULA.fullmatch(cell.strip())
    return formula[1].strip() if formula else unguarded(cell).strip()


def _check(name: str, value: str) -> None:
    if "\0" in value:
        raise CarrierParseError(f"{name}: has a NUL")
    if undecoded(value):
        raise CarrierParseError(f"{name}: bytes that are not of the file's encoding")
    # Any other lone surrogate came out of an encoding that allows it.
    if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
        raise CarrierParseError(f"{name}: half a character")


def _stated(values: Mapping[str, str]) -> str:
    stated = values.get("event_at", "")
    if not stated:
        stated = " ".join(values[name] for name in ("event_date", "event_time") if name in values)
    if not stated or ("event_date" not in values and "event_at" not in values):
        raise CarrierParseError("event_at: no time is told")
    return stated
