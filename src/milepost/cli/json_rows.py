"""Reading rows out of JSON as it comes: an array, one document a line, or saved answers of an API.

Only the bounds of rows are looked for here, piece by piece; each is read and judged by itself, so a
row that is wrong costs none of the others, and memory stays bounded whatever the file holds.
"""

import json
import re
from collections.abc import Iterator, Set
from io import TextIOWrapper

from milepost.intake.csv_rows import LONGEST_ROW, Row

_PIECE = 64 * 1024
# Strings are skipped whole; one that has not ended yet is looked at again when more has come.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},:]', re.DOTALL)
_DECODER = json.JSONDecoder()
_CLOSES = {"}": "{", "]": "["}
_DEEPEST_LIST = 3
"""An answer's list of rows lies in an object, or in an object in it."""


def json_rows(text: TextIOWrapper, wrappers: Set[str]) -> Iterator[Row]:
    """Every row, counted from 1, its document as the only cell.

    Rows are the elements of an array, of the lists under ``wrappers`` in the answers of an API (any
    number of them, one after the other), or else the documents of the file themselves.
    """
    first = text.readline(LONGEST_ROW)
    while first and not first.strip("\ufeff \t\r\n"):
        first = text.readline(LONGEST_ROW)
    rows = _lines(first, text) if _is_row(first, wrappers) else _elements(first, text, wrappers)
    for place, (found, problem) in enumerate(rows, start=1):
        yield Row(place, (found,), problem)


def _is_row(line: str, wrappers: Set[str]) -> bool:
    """Whether the file has one document a line: the first is whole, and no answer with a list."""
    try:
        given = json.loads(line.strip("\ufeff \t\r\n"))
    except ValueError:
        return False
    if not isinstance(given, dict):
        return False
    inner = given.get("data")
    names = {*given, *(inner if isinstance(inner, dict) else ())}
    return not names & wrappers


def _lines(first: str, text: TextIOWrapper) -> Iterator[tuple[str, str]]:
    line = first
    while line:
        if len(line) >= LONGEST_ROW:
            yield "", f"a row is longer than {LONGEST_ROW} characters"
            return
        if row := line.strip("\ufeff \t\r\n"):
            yield row, ""
        line = text.readline(LONGEST_ROW)


def _elements(first: str, text: TextIOWrapper, wrappers: Set[str]) -> Iterator[tuple[str, str]]:
    splitter = Splitter(wrappers)
    piece = first.lstrip("\ufeff")
    while piece:
        yield from splitter.feed(piece)
        if splitter.problem:
            yield "", splitter.problem
            return
        piece = text.read(_PIECE)
    if splitter.is_open:
        yield "", "the file breaks off in the middle of this row"


def _end_of(data: str, start: int) -> int:
    """Where the value that begins at ``start`` ends; 0 where it is cut off, or wrong."""
    try:
        return _DECODER.raw_decode(data, start)[1]
    except (ValueError, RecursionError):
        return 0


class Splitter:
    """Fed with pieces of text; gives each row as soon as it is whole. ``problem`` ends the file."""

    def __init__(self, wrappers: Set[str]) -> None:
        self._wrappers = wrappers
        self._buffer = ""
        self._scanned = 0
        self._stack: list[str] = []
        self._key = ""
        self._word = ""
        # How deep the list lies whose elements are rows; 0 while none is open.
        self._inside = 0
        self._had_list = False
        self._start = -1
        self._mark = 0
        self.problem = ""

    @property
    def is_open(self) -> bool:
        """Whether something was begun and not ended."""
        return bool(self._stack) or bool(self._buffer[self._scanned :].strip())

    def feed(self, piece: str) -> Iterator[tuple[str, str]]:
        """The rows that end in ``piece``; one that is no object comes with what is wrong."""
        self._buffer += piece
        data, place = self._buffer, self._scanned
        while not self.problem:
            token = _TOKEN.search(data, place)
            if token is None:
                place = len(data)
                break
            if token[0] == '"':
                place = token.start()
                break
            yield from self._take(token[0], token.start(), token.end())
            place = token.end()
            if self._inside and self._start == place - 1:
                # Where a row of a list is here as a whole, the parser finds its end far faster.
                whole = _end_of(data, self._start)
                if whole > place:
                    yield data[self._start : whole], ""
                    self._stack.pop()
                    self._start, self._mark, place = -1, whole, whole
        kept = min(place, self._mark if self._inside else place)
        if self._start >= 0:
            kept = min(kept, self._start)
        self._drop(kept, place)

    def _drop(self, kept: int, scanned: int) -> None:
        """Forget what lies before ``kept``."""
        self._buffer = self._buffer[kept:]
        self._scanned = scanned - kept
        self._start -= kept if self._start >= 0 else 0
        self._mark = max(0, self._mark - kept)
        if len(self._buffer) > LONGEST_ROW and not self.problem:
            self.problem = f"a row is longer than {LONGEST_ROW} characters"

    def _take(self, mark: str, start: int, end: int) -> Iterator[tuple[str, str]]:
        if mark in "{[":
            self._open(mark, start, end)
        elif mark in "}]":
            if not self._stack or self._stack[-1] != _CLOSES[mark]:
                self.problem = f"not JSON: {mark} closes nothing"
                return
            yield from self._close(start, end)
        elif mark == ":":
            self._key = self._word
        elif mark == "," and len(self._stack) == self._inside and self._inside:
            yield from self._between(start, end)
        elif len(mark) > 1:
            self._word = mark[1:-1]

    def _open(self, mark: str, start: int, end: int) -> None:
        depth = len(self._stack)
        begins_list = mark == "[" and not self._inside and self._holds_rows(depth)
        if mark == "{" and (depth == 0 or depth == self._inside):
            self._start = start
        self._stack.append(mark)
        if begins_list:
            self._inside, self._had_list = depth + 1, True
            self._start, self._mark = -1, end

    def _holds_rows(self, depth: int) -> bool:
        if depth == 0:
            return True
        is_answer = depth < _DEEPEST_LIST and all(one == "{" for one in self._stack)
        return is_answer and self._key in self._wrappers

    def _close(self, start: int, end: int) -> Iterator[tuple[str, str]]:
        if self._inside and len(self._stack) == self._inside:
            yield from self._between(start, end)
            self._inside = 0
        self._stack.pop()
        depth = len(self._stack)
        if self._start >= 0 and depth == self._inside:
            row = self._buffer[self._start : end]
            self._start, self._mark = -1, end
            if self._inside or not self._had_list:
                yield row, ""
        if depth == 0:
            self._had_list, self._start = False, -1

    def _between(self, start: int, end: int) -> Iterator[tuple[str, str]]:
        """What stands between two commas of the list and was no object."""
        if rest := self._buffer[self._mark : start].strip():
            yield rest, "not an object"
        self._mark = end
