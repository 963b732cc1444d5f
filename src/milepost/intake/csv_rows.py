"""Reading CSV as it comes: any separator, odd bytes, broken quotes; every row with its line.

The standard library's parser reads one row at a time from lines we hand it, so that a row it can't
read costs that row alone and memory stays bounded whatever the file holds.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from typing import Any, BinaryIO

from milepost.errors import ConfigurationError

LONGEST_ROW = 1024 * 1024
"""Characters of a row, line ends in quotes included; also the most that is ever held."""
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SEPARATORS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that begins at ``line`` (from 1); ``problem`` says why it has no cells."""

    line: int
    cells: tuple[str, ...] = ()
    problem: str = ""


class Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.bytes_read = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """As the file is."""
        return self._file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes there; what lies before it counts as read."""
        self.bytes_read = self._file.seek(offset, whence)
        return self.bytes_read

    def readinto(self, buffer: Any) -> int:
        """Fills ``buffer``; how far."""
        given = self._file.read(len(buffer))
        buffer[: len(given)] = given
        self.bytes_read += len(given)
        return len(given)


def text_of(file: Counted, encoding: str) -> TextIOWrapper:
    """The characters of ``file``; a byte order mark names the encoding, else ``encoding`` does."""
    buffered = io.BufferedReader(file, 64 * 1024)
    start = buffered.peek(3)
    found = next((name for mark, name in _BOMS if start.startswith(mark)), encoding)
    try:
        # Bytes that can't be read become lone surrogates, which are found again with their line.
        return TextIOWrapper(buffered, encoding=found, errors="surrogateescape", newline="")
    except LookupError as error:
        raise ConfigurationError(f"there is no encoding {encoding}") from error


class Lines:
    """Hands out lines and takes them back; knows where it is."""

    def __init__(self, text: TextIOWrapper, first: str) -> None:
        self._text = text
        self._again: list[str] = [first] if first else []
        self._row: list[str] = []
        self._length = 0
        self.line = 0

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._text.readline(LONGEST_ROW)
        if not line:
            raise StopIteration
        self.line += 1
        self._row.append(line)
        self._length += len(line)
        if self._length >= LONGEST_ROW:
            raise csv.Error(f"a row is longer than {LONGEST_ROW} characters, or a quote stays open")
        return line

    def begin_row(self) -> int:
        """The number of the line that comes next, with which a row begins."""
        self._row, self._length = [], 0
        return self.line + 1

    def give_up_row(self) -> None:
        """All lines of this row but its first are read again, as rows of their own."""
        first, *rest = self._row or [""]
        self.line -= len(rest)
        self._again.extend(reversed(rest))
        while len(first) == LONGEST_ROW and not first.endswith(("\n", "\r")) and not rest:
            # The rest of a line that was cut for its length.
            first = self._text.readline(LONGEST_ROW)


def rows_of(text: TextIOWrapper, separator: str, first: str) -> Iterator[Row]:
    """Every row that holds anything, from ``first`` on, a line that was read already."""
    lines = Lines(text, first)
    csv.field_size_limit(LONGEST_ROW)
    parser = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        line = lines.begin_row()
        try:
            cells = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            lines.give_up_row()
            # After an error the parser is in the middle of that row.
            parser = csv.reader(lines, delimiter=separator, strict=True)
            yield Row(line, problem=f"not CSV: {error}")
            continue
        except UnicodeError as error:
            yield Row(line, problem=f"can't be decoded: {error.__class__.__name__}")
            return
        if any(cells):
            yield Row(line, tuple(cells))


def separator_in(header: str) -> str:
    """The separator of a header line: the one that it has most of."""
    return max(_SEPARATORS, key=header.count)


def told_separator(header: str) -> tuple[bool, str]:
    """Whether a first line is one that spreadsheets write (``sep=;``), and what it names.

    Nothing where what it names can't separate cells.
    """
    if not header.lower().startswith("sep="):
        return False, ""
    return True, header[4:5] if header[4:5] in _SEPARATORS else ""


def undecoded(cell: str) -> bool:
    """Whether it has bytes that are not of the file's encoding."""
    return not cell.isascii() and any("\udc80" <= one <= "\udcff" for one in cell)
