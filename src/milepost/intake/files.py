"""A carrier's file, told to the parcels it is about: each row a verdict, nothing twice.

1. Find out what it is by its first bytes; what is packed, too large or neither form is refused.
2. Read it row by row, a bounded number at a time.
3. Rows of one parcel are one telling, which goes the way of an answer (``Teller``).
4. Each row gets its verdict once it is stored. Started again after a kill, what has one is left.

What is told twice, because a kill came between 3 and 4, is one event all the same.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO, Protocol, TypeVar, cast

from milepost import failpoints
from milepost.errors import FileUnreadable
from milepost.intake.csv_feed import CsvFeed
from milepost.intake.edifact import is_edifact
from milepost.intake.iftsta import Iftsta
from milepost.intake.patience import patiently
from milepost.intake.tell import Teller, Told, Verdict
from milepost.intake.told_rows import FileRow, Sender, one_telling
from milepost.intake.verdicts import Fingerprints, VerdictFile, Word
from milepost.intake.verdicts import Verdict as RowVerdict
from milepost.tracking.parcel import number_key

S = TypeVar("S")
T = TypeVar("T")

CHUNK = 5_000
"""Rows held at a time; rows of one parcel within them are one telling."""
TOLD_AT_ONCE = 4
"""Half of what a process has of connections: a file must not keep others from theirs."""
BREATH = 100
"""So many rows are read at a time, in a thread: whatever else the process does goes on."""
_PACKED = {
    b"PK\x03\x04": "ZIP",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "PDF",
}


class Reader(Protocol):
    """The rows of a file; ``identity`` is what all of them have in common."""

    identity: tuple[str, ...]

    def __iter__(self) -> Iterator[FileRow]: ...


@dataclass(slots=True)
class Fed:
    """What became of a file's rows; ``ended`` says why it could not be read to its end."""

    rows: int = 0
    told: int = 0
    refused: int = 0
    done_before: int = 0
    parcels: int = 0
    new_events: int = 0
    ended: str = field(default="")


Advance = Callable[[int], None]


def read_file(file: BinaryIO, sender: Sender, *, most_bytes: int, encoding: str = "") -> Reader:
    """The rows of ``file``, which can be gone back in. Raises FileUnreadable."""
    size = file.seek(0, os.SEEK_END)
    if size > most_bytes:
        raise FileUnreadable(0, f"it has {size} bytes, and {most_bytes} is the most that is read")
    file.seek(0)
    start = file.read(512)
    for mark, name in _PACKED.items():
        if start.startswith(mark):
            raise FileUnreadable(0, f"it is {name}, and nothing is unpacked here")
    file.seek(0)
    if is_edifact(start):
        return Iftsta(file, sender)
    return CsvFeed(file, sender, encoding)


class Feeder:
    """Tells the rows of files to the parcels of one account."""

    def __init__(
        self, teller: Teller, account_id: int, sender: Sender, patience_seconds: float = 0
    ) -> None:
        """``patience_seconds``: how long a database that is away is waited for."""
        self._teller = teller
        self._patience = patience_seconds
        self._account_id = account_id
        self._sender = sender

    async def feed(
        self, reader: Reader, verdicts: VerdictFile, advance: Advance = lambda _: None
    ) -> Fed:
        """Tell every row that has no verdict yet. Raises DatabaseUnavailable; then start again."""
        desk = _Desk(verdicts, Fingerprints(self._account_id, reader.identity, ()), advance)
        rows = iter(reader)
        while chunk := await _chunk(rows, desk):
            await self._tell(chunk, desk)
            failpoints.reach("feed.before_verdicts")
            verdicts.flush()
            advance(desk.fed.rows)
        return desk.fed

    async def _tell(self, rows: Sequence[FileRow], desk: "_Desk") -> None:
        """Tell each parcel once what the rows say of it."""
        by_numbers: dict[tuple[str, ...], list[FileRow]] = {}
        for row in rows:
            by_numbers.setdefault(row.numbers, []).append(row)
        # Several names may be one parcel's: told one after the other it would be told twice.
        found = await _some_at_once(by_numbers, self._known_as)
        by_number: dict[str, list[FileRow]] = {}
        for (_, alike), number in zip(by_numbers.items(), found, strict=True):
            by_number.setdefault(number, []).extend(alike)
        told = await _some_at_once(by_number.items(), lambda named: self._tell_one(*named))
        for alike, verdict in zip(by_number.values(), told, strict=True):
            desk.settle(alike, verdict)

    async def _known_as(self, numbers: tuple[str, ...]) -> str:
        """The first number under which there is a parcel; where only one is told, that one."""
        for number in numbers[:-1]:
            if await self._is_held(number):
                return number_key(number)
        return number_key(numbers[-1])

    async def _is_held(self, number: str) -> bool:
        code = self._sender.code
        holders = await patiently(
            lambda: self._teller.holders(self._account_id, code, number), self._patience
        )
        return bool(holders)

    async def _tell_one(self, number: str, rows: Sequence[FileRow]) -> Told:
        found = one_telling(row.telling for row in rows if row.telling is not None)
        now = datetime.now(UTC)
        return await patiently(
            lambda: self._teller.tell(
                self._account_id, self._sender.code, number, found, "file", now
            ),
            self._patience,
        )


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where rows get their verdicts."""

    verdicts: VerdictFile
    prints: Fingerprints
    advance: Advance
    fed: Fed = field(default_factory=Fed)

    def takes(self, row: FileRow) -> bool:
        """Whether it is to be told; a row that can't be, or was, gets its verdict here."""
        self.fed.rows += 1
        if row.telling is None:
            self.refuse(row, row.problem)
            return False
        if self.verdicts.earlier.word(row.line, self.prints.of(row.said)) is None:
            return True
        self.fed.done_before += 1
        self._write(row, "told", "")
        return False

    def refuse(self, row: FileRow, why: str) -> None:
        """It is not told."""
        self.fed.refused += 1
        self._write(row, "refused", why)

    def settle(self, rows: Sequence[FileRow], told: Told) -> None:
        """They were told to their parcel, if there is one."""
        if told.verdict is Verdict.UNKNOWN_NUMBER:
            for row in rows:
                self.refuse(row, "no parcel of this account has this number at this carrier")
            return
        self.fed.parcels += len(told.parcels)
        self.fed.new_events += told.new_events
        for row in rows:
            self.fed.told += 1
            self._write(row, "told", "")

    def _write(self, row: FileRow, word: Word, reason: str) -> None:
        self.verdicts.write(
            RowVerdict(row.line, row.number, word, reason, self.prints.of(row.said))
        )


async def _chunk(rows: Iterator[FileRow], desk: _Desk) -> list[FileRow]:
    """The next rows that are to be told, as many as are held at a time."""
    found: list[FileRow] = []
    few, wanted = 0, 0
    while few == wanted and len(found) < CHUNK:
        wanted = min(BREATH, CHUNK - len(found))
        read, broken = await asyncio.to_thread(_read, rows, wanted)
        few = len(read)
        found += filter(desk.takes, read)
        if broken is not None:
            desk.fed.ended = str(broken)
            desk.fed.rows += 1
            desk.refuse(FileRow(broken.line), broken.why)
        desk.advance(desk.fed.rows)
    return found


def _read(rows: Iterator[FileRow], most: int) -> tuple[list[FileRow], FileUnreadable | None]:
    """The next rows, and why there are no more if the file can't be read on.

    There may be any number of segments between two rows of a file that somebody wants us to choke
    on, so even the next one may take long.
    """
    read: list[FileRow] = []
    try:
        read.extend(islice(rows, most))
    except FileUnreadable as error:
        return read, error
    return read, None


async def _some_at_once(things: Collection[S], work: Callable[[S], Awaitable[T]]) -> list[T]:
    """What ``work`` gives for each, a few at a time; the first failure ends them all."""
    places = iter(enumerate(things))
    done: list[T | None] = [None] * len(things)

    async def take() -> None:
        for place, thing in places:
            done[place] = await work(thing)

    takers = [asyncio.create_task(take()) for _ in range(TOLD_AT_ONCE)]
    try:
        await asyncio.gather(*takers)
    finally:
        for taker in takers:
            taker.cancel()
    return cast(list[T], done)
