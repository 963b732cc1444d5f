"""The file of verdicts beside what was read: one line a row, and what a second start goes on from.

A run writes ``NAME.part`` and renames it at its end. A run that was killed leaves its part, which
the next one first appends to the file; of two verdicts on one line the later one counts.
"""

import csv
import hashlib
import os
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from milepost.wire.spreadsheet import guarded

Word = Literal["registered", "exists", "told", "refused"]
"""What became of a row of an import, or of a carrier's file (``told``)."""
_DONE: tuple[Word, ...] = ("registered", "exists", "told")
HEADER = ("line", "number", "verdict", "reason", "row")
_SEPARATOR = "\x1f"
_MOST_LINES = 50_000_000
_ROW = re.compile(r"[0-3][0-9a-f]{15}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the row that begins at ``line``; ``row`` stands for what it said."""

    line: int
    number: str
    word: Word
    reason: str
    row: int


class Fingerprints:
    """Stands for a row as it was asked for: its cells, and what all rows have in common."""

    def __init__(self, account_id: int, header: Sequence[str], fixed: Sequence[str]) -> None:
        common = _SEPARATOR.join((str(account_id), *header, "", *sorted(fixed)))
        self._common = hashlib.blake2b(common.encode("utf-8", "surrogatepass"), digest_size=8)

    def of(self, cells: Sequence[str]) -> int:
        """62 bits."""
        digest = self._common.copy()
        digest.update(_SEPARATOR.join(cells).encode("utf-8", "surrogatepass"))
        return int.from_bytes(digest.digest(), "big") >> 2


class Earlier:
    """Rows that need not be asked again, by line: 8 bytes each, so that millions fit."""

    def __init__(self) -> None:
        self._rows = array("Q")

    def keep(self, line: int, row: int, word: str) -> None:
        """A verdict of an earlier run; a refused row is tried again, it may be taken now."""
        if not 0 < line < _MOST_LINES:
            return
        if line >= len(self._rows):
            self._rows.extend([0] * (line + 1024 - len(self._rows)))
        place = next((place for place, done in enumerate(_DONE, 1) if done == word), 0)
        self._rows[line] = row << 2 | place if place else 0

    def word(self, line: int, row: int) -> Word | None:
        """The verdict on the very same row, if it stands."""
        known = self._rows[line] if line < len(self._rows) else 0
        if known >> 2 != row or not known:
            return None
        return _DONE[(known & 3) - 1]


class VerdictFile:
    """Written line by line; whatever was flushed outlives the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self.earlier = Earlier()

    def __enter__(self) -> "VerdictFile":
        self._fold()
        if self.path.exists():
            self._read(self.path)
        self._file = self._part.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(HEADER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if error is None:
            self._part.replace(self.path)

    def write(self, verdict: Verdict) -> None:
        """Adds a line; on disk after ``flush``."""
        number, reason = guarded(verdict.number), guarded(verdict.reason)
        row = f"{verdict.row:016x}"
        self._writer.writerow((verdict.line, number, verdict.word, reason, row))

    def flush(self) -> None:
        """Hands everything to the operating system."""
        self._file.flush()

    def _fold(self) -> None:
        """Appends what a run left that did not come to its end."""
        if not self._part.exists():
            return
        left = self._part.read_bytes()
        # The last line may have been cut by the end.
        whole = left[: left.rfind(b"\n") + 1]
        with self.path.open("ab") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        self._part.unlink()

    def _read(self, path: Path) -> None:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            for cells in csv.reader(file):
                if len(cells) == len(HEADER) and _ROW.fullmatch(cells[4]) and cells[0].isdecimal():
                    self.earlier.keep(int(cells[0]), int(cells[4], 16), cells[2])
