"""Rows out of a body that is still coming in: a JSON array, or one document a line. Pure.

Only the bounds of rows are looked for here; ``json_input`` reads and judges each by itself, so a
row that is wrong costs none of the others.
"""

import re
from collections.abc import Iterator

from milepost.errors import InvalidInput

_BLANK = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"
# Strings are skipped whole; one that has not ended yet is looked at again when more has come.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)


class RowSplitter:
    """Fed with the pieces of a body; gives the bytes of each row as soon as it is whole."""

    def __init__(self, most_row_bytes: int, *, as_array: bool) -> None:
        """A row of more than ``most_row_bytes`` is InvalidInput, and ends the body."""
        self._most = most_row_bytes
        self._array = as_array
        self._buffer = b""
        self._scanned = 0
        self._depth = 0
        self._began = False
        self._ended = False
        self._some = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The rows that end in ``piece``. Raises InvalidInput where the array is none."""
        self._buffer += piece
        if not self._began and not self._begin():
            return
        yield from self._elements() if self._array else self._lines()
        if len(self._buffer) > self._most:
            raise InvalidInput(f"A row is over {self._most} bytes", ("body",), "row_too_large")

    def end(self) -> Iterator[bytes]:
        """What is left when the body has ended. Raises InvalidInput where it broke off."""
        rest = self._buffer.strip(_BLANK)
        if not self._began:
            raise InvalidInput("Field required", ("body",), "missing")
        if self._array and not self._ended:
            raise InvalidInput("The array does not end", ("body",), "json_invalid")
        if rest and not self._array:
            yield rest

    def _begin(self) -> bool:
        """Whether there is anything yet but blanks."""
        start = self._buffer.removeprefix(_BOM).lstrip(_BLANK)
        if not start:
            # Blanks before the rows are not kept: there may be as many as a body is long.
            self._buffer = b""
            return False
        if self._array and not start.startswith(b"["):
            raise InvalidInput("Input should be an array", ("body",), "list_type")
        self._began = True
        self._buffer = start[1:] if self._array else start
        self._depth = 1
        return True

    def _lines(self) -> Iterator[bytes]:
        *whole, self._buffer = self._buffer.split(b"\n")
        for line in whole:
            if row := line.strip(_BLANK):
                yield row

    def _elements(self) -> Iterator[bytes]:
        data, start, place = self._buffer, 0, self._scanned
        while not self._ended:
            token = _TOKEN.search(data, place)
            if token is None:
                place = len(data)
                break
            mark = token[0]
            if mark == b'"':
                place = token.start()
                break
            place = token.end()
            if mark in b"[{":
                self._depth += 1
            elif mark in b"]}":
                self._depth -= 1
            if (self._depth == 1 and mark == b",") or self._depth == 0:
                self._ended = self._depth == 0
                if self._ended and mark != b"]":
                    raise InvalidInput("The array does not end", ("body",), "json_invalid")
                row = data[start : token.start()].strip(_BLANK)
                start = place
                # An array of none has nothing between its brackets; elsewhere that is a fault.
                if row or not self._ended or self._some:
                    yield row
                self._some = True
        self._buffer, self._scanned = data[start:], place - start
        if self._ended and self._buffer.strip(_BLANK):
            raise InvalidInput("Something follows the array", ("body",), "json_invalid")
