"""What an import reads from: an open file with rows, and what each row asks for."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from typing import Any, Protocol

from milepost.api.unnamed_carriers import Named
from milepost.cli.import_columns import Column, read_header, read_row
from milepost.errors import ConfigurationError
from milepost.intake.csv_rows import Row, rows_of, separator_in, undecoded
from milepost.intake.verdicts import Fingerprints
from milepost.movein.history import Past
from milepost.tracking.parcel import Registration

Naming = Callable[[Any], Awaitable[Named]]
_OTHER_KINDS = {
    b"PK\x03\x04": "an Excel or ZIP file; save it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file; save it as CSV",
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"%PDF": "a PDF",
}


@dataclass(frozen=True, slots=True)
class Read:
    """A row that can be registered; ``past`` is what another tool told of it, ``note`` what its
    verdict should say beside."""

    registration: Registration
    past: Past | None = None
    note: str = ""


class Source(Protocol):
    """An open file: its rows, and what each asks for."""

    rows: Iterator[Row]

    def number(self, row: Row) -> str:
        """The tracking number as it stands there, if there is one."""

    def fingerprint(self, row: Row) -> int:
        """Stands for the row as it is asked for."""

    async def read(self, row: Row) -> Read | str:
        """What the row asks for, or why it is refused."""


class Sheet:
    """A CSV file of ours: its columns, and its rows after the first line."""

    def __init__(
        self,
        columns: Sequence[Column | None],
        fixed: dict[str, str],
        fingerprints: Fingerprints,
        rows: Iterator[Row],
        naming: Naming,
    ) -> None:
        self.rows = rows
        self._columns = columns
        self._fixed = fixed
        self._fingerprints = fingerprints
        self._naming = naming

    def number(self, row: Row) -> str:
        """The cell of its number."""
        pairs = zip(self._columns, row.cells, strict=False)
        found = (cell for column, cell in pairs if column and column.name == "tracking_number")
        return shortened(next(found, ""))

    def fingerprint(self, row: Row) -> int:
        """Of its cells."""
        return self._fingerprints.of(row.cells)

    async def read(self, row: Row) -> Read | str:
        """Its registration."""
        if row.problem:
            return row.problem
        read = await read_row(self._columns, row.cells, self._fixed, self._naming)
        return read if isinstance(read, str) else Read(read)


def open_sheet(
    text: TextIOWrapper,
    account_id: int,
    fixed: dict[str, str],
    naming: Naming,
    *,
    others: bool,
    common: Sequence[str] = (),
) -> Sheet:
    """A CSV file in our own columns. Raises ConfigurationError for what is none."""
    header, rows = open_csv(text)
    columns = read_header(header, others=others)
    shared = [*(f"{name}={value}" for name, value in fixed.items()), *common]
    return Sheet(columns, fixed, Fingerprints(account_id, header, shared), rows, naming)


def open_csv(text: TextIOWrapper) -> tuple[tuple[str, ...], Iterator[Row]]:
    """The cells of the first line, and the rows after it."""
    try:
        header = text.readline(64 * 1024)
    except UnicodeError as error:
        raise ConfigurationError(f"the first line is not {text.encoding}") from error
    if undecoded(header):
        raise ConfigurationError(f"the first line is not {text.encoding}; see --encoding")
    named = header.lower().startswith("sep=")
    separator = header[4:5] if named else separator_in(header)
    rows = rows_of(text, separator, "" if named else header)
    first = next(rows, Row(1, problem="the file is empty"))
    if first.problem:
        raise ConfigurationError(f"the first line: {first.problem}")
    return first.cells, rows


def begins_with(text: TextIOWrapper) -> str:
    """The first character that is not blank. Raises ConfigurationError for a file of other kind."""
    buffer = text.buffer
    start = buffer.peek(512) if isinstance(buffer, BufferedReader) else b""
    for mark, kind in _OTHER_KINDS.items():
        if start.startswith(mark):
            raise ConfigurationError(f"the file is {kind}")
    whole = start[: len(start) // 4 * 4]
    plain = whole.decode(text.encoding, "ignore").lstrip("\ufeff \t\r\n")
    if plain.startswith("<"):
        raise ConfigurationError("the file is HTML or XML, perhaps a page that asks for a login")
    return plain[:1]


def shortened(number: str) -> str:
    """A number as a verdict shows it."""
    return number[:255].encode("utf-8", "replace").decode()
