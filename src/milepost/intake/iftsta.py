"""IFTSTA, the status message of UN/EDIFACT (D.96A and later), as rows that each tell one status.

The file is gone through twice. First messages are counted: one without its end, or with another
number of segments than it says, may lack the very segment that tells whose the next status is, so
nothing is taken of it. Then the statuses of the others are read, one after the other.
"""

from collections.abc import Iterator
from typing import BinaryIO

from milepost.errors import FileUnreadable
from milepost.intake.edifact import RawSegment, Segment, segments
from milepost.intake.iftsta_status import MOST_REFERENCES, StatusGroup, reference
from milepost.intake.told_rows import FileRow, Sender

MOST_MESSAGES = 1_000_000
_NOT_ENDED = "the message has no end, or was cut off"
_FAULTS = (
    "",
    _NOT_ENDED,
    "the message has another number of segments than it says",
    "the message ends under another reference than it began with",
    "not an IFTSTA message",
    "the head or the end of the message can't be read",
)


class Iftsta:
    """The rows of a file. Iterating raises FileUnreadable where it can't be read on."""

    def __init__(self, file: BinaryIO, sender: Sender) -> None:
        """``file`` is one that can be gone back in; it is looked through here, which takes long."""
        self._file = file
        self._sender = sender
        self._verdicts, self._broken = self._look_through()
        self.identity: tuple[str, ...] = (sender.code, "iftsta")

    def __iter__(self) -> Iterator[FileRow]:
        self._file.seek(0)
        message: _Message | None = None
        place = -1
        try:
            for raw in segments(self._file):
                if raw.name == "UNH":
                    place += 1
                    fault = self._verdicts[place]
                    message = None if fault else _Message(self._sender, raw)
                    if fault:
                        yield FileRow(raw.number, problem=_FAULTS[fault])
                elif raw.name == "UNT":
                    if message is not None:
                        yield from message.status()
                    message = None
                elif message is not None:
                    yield from message.take(raw)
        except FileUnreadable:
            # Told below, with what the first look found.
            pass
        if self._broken is not None:
            raise self._broken

    def _look_through(self) -> tuple[bytearray, FileUnreadable | None]:
        """The fault of each message (0: none), and why the file as a whole is not whole."""
        check = _Check()
        self._file.seek(0)
        try:
            for raw in segments(self._file):
                check.take(raw)
        except FileUnreadable as error:
            return check.verdicts, error
        return check.verdicts, check.end()


class _Check:
    """Counts segments, messages and interchanges."""

    def __init__(self) -> None:
        self.verdicts = bytearray()
        self._reference = ""
        self._kind = 0
        self._began = 0
        self._open = False
        self._interchange = 0
        self._messages = 0
        self._number = 0
        self._miscounted: FileUnreadable | None = None

    def take(self, raw: RawSegment) -> None:
        """The next segment."""
        self._number = raw.number
        if raw.name == "UNB":
            self._open, self._interchange, self._messages = False, raw.number, 0
        elif raw.name == "UNZ":
            self._count(raw)
            self._open, self._interchange = False, 0
        elif raw.name == "UNH":
            self._begin(raw)
        elif raw.name == "UNT" and self._open:
            self._open = False
            self.verdicts[-1] = self._verdict(raw) if not self._kind else self._kind

    def end(self) -> FileUnreadable | None:
        """Why the file is not whole, if it is not."""
        if self._interchange:
            return FileUnreadable(self._number, "the interchange has no end (UNZ): cut off")
        return self._miscounted

    def _begin(self, raw: RawSegment) -> None:
        if len(self.verdicts) >= MOST_MESSAGES:
            raise FileUnreadable(raw.number, f"more than {MOST_MESSAGES} messages in one file")
        self.verdicts.append(1)
        self._messages += 1
        self._open, self._began = True, raw.number
        try:
            head = raw.read()
        except FileUnreadable:
            self._kind = 5
            return
        self._reference = head.text(0)
        self._kind = 0 if head.text(1) == "IFTSTA" else 4

    def _verdict(self, raw: RawSegment) -> int:
        try:
            tail = raw.read()
        except FileUnreadable:
            return 5
        if tail.text(0).lstrip("0") != str(raw.number - self._began + 1):
            return 2
        return 0 if tail.text(1) == self._reference else 3

    def _count(self, raw: RawSegment) -> None:
        try:
            told = raw.read().text(0).lstrip("0")
        except FileUnreadable as error:
            self._miscounted = self._miscounted or error
            return
        # UNZ may count groups instead of messages; nobody here sends groups of one.
        if told.isdecimal() and self._messages and int(told[:9]) > self._messages:
            why = "the interchange has fewer messages than it says (UNZ)"
            self._miscounted = self._miscounted or FileUnreadable(raw.number, why)


class _Message:
    """The segments of one message, in turn."""

    def __init__(self, sender: Sender, head: RawSegment) -> None:
        self._sender = sender
        self._release = head.read().text(1, 2)
        self._references: tuple[str, ...] = ()
        self._consignment = ""
        self._lost = ""
        self._group: StatusGroup | None = None

    def take(self, raw: RawSegment) -> Iterator[FileRow]:
        """One more segment; the rows of a status when the next thing begins."""
        if raw.name in ("CNI", "STS"):
            yield from self.status()
        try:
            segment = raw.read()
        except FileUnreadable as error:
            self._unread(raw, error.why)
            return
        match segment.name:
            case "CNI":
                self._consignment, self._references, self._lost = segment.text(1), (), ""
            case "STS":
                self._group = StatusGroup(segment, self._release, self._lost)
            case _ if self._group is not None:
                self._group.take(segment)
            case "RFF":
                self._references = (*self._references, *reference(segment))[:MOST_REFERENCES]

    def status(self) -> Iterator[FileRow]:
        """The rows of the status that has just ended, if there is one."""
        group, self._group = self._group, None
        if group is not None:
            yield from group.rows(self._sender, (*self._references, self._consignment))

    def _unread(self, raw: RawSegment, why: str) -> None:
        """Whose the next statuses are, or what this one says, may have stood there."""
        if raw.name == "CNI":
            self._lost = f"whose it is can't be read: {why}"
        elif raw.name == "STS":
            nothing = Segment(raw.number, "STS", ())
            self._group = StatusGroup(nothing, self._release, why)
        elif self._group is not None:
            self._group.spoil(why)
        else:
            self._lost = self._lost or why
