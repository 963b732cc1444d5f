"""Segments of EDIFACT files as they come: any separators, any size, cut off or not.

The file is read in blocks and cut into segments here, so that memory stays bounded and a broken
segment costs itself alone; their elements are told apart by pydifact. Given to pydifact whole, a
file would be held in memory several times, and end at the first fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from pydifact import Characters, Parser, Tokenizer
from pydifact.exceptions import EDISyntaxError

from milepost.errors import FileUnreadable

BLOCK = 64 * 1024
LONGEST_SEGMENT = 16 * 1024
"""Bytes; an IFTSTA segment of the directories has no 3,000."""
_BLANKS = b" \t\r\n"
_NO_RELEASE = "\0"
"""pydifact always has a release character; no segment of ours has this one."""
_CHARSETS = {
    # Whoever says ASCII and sends more loses the characters beyond, not the status.
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "latin-1",
    "UNOD": "iso8859-2",
    "UNOE": "iso8859-5",
    "UNOF": "iso8859-7",
    "UNOG": "iso8859-3",
    "UNOH": "iso8859-4",
    "UNOI": "iso8859-6",
    "UNOJ": "iso8859-8",
    "UNOK": "iso8859-9",
    "UNOL": "iso8859-15",
    "UNOW": "utf-8",
    "UNOY": "utf-8",
}
"""Syntax identifiers (0001) of ISO 9735; UNOX needs escape sequences, which nobody sends."""


@dataclass(frozen=True, slots=True)
class Separators:
    """The service string: what UNA says, or the defaults."""

    component: bytes = b":"
    element: bytes = b"+"
    release: bytes = b"?"
    terminator: bytes = b"'"

    def characters(self) -> Characters:
        """As pydifact has them."""
        return Characters(  # type: ignore[no-untyped-call]
            component_separator=self.component.decode(),
            data_separator=self.element.decode(),
            escape_character=self.release.decode() or _NO_RELEASE,
            segment_terminator=self.terminator.decode(),
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of a file, counted from 1, with its elements and their components."""

    number: int
    name: str
    elements: tuple[tuple[str, ...], ...]

    def text(self, element: int, component: int = 0) -> str:
        """A component, both counted from 0 after the name; "" where there is none."""
        if element >= len(self.elements) or component >= len(self.elements[element]):
            return ""
        return self.elements[element][component].strip()


@dataclass(frozen=True, slots=True)
class RawSegment:
    """A segment whose elements nobody asked for yet."""

    number: int
    data: bytes
    separators: Separators
    charset: str

    @property
    def name(self) -> str:
        """Its three letters, or whatever is there."""
        return self.data[:3].decode("ascii", "replace")

    def read(self) -> Segment:
        """Its elements. Raises FileUnreadable when they can't be told apart."""
        if b"\0" in self.data:
            raise FileUnreadable(self.number, "a segment has a NUL")
        # Lines may be wrapped anywhere; no character set of EDIFACT has these in a text.
        data = self.data.replace(b"\r", b"").replace(b"\n", b"") + self.separators.terminator
        text = data.decode(self.charset, "replace")
        if not self.separators.release or self.separators.release not in data:
            return Segment(self.number, self.name, self._split(text[:-1]))
        tokens = Tokenizer().get_tokens(text, self.separators.characters())
        try:
            parts = next(Parser().convert_tokens_to_raw_segments(tokens), [])
        except EDISyntaxError as error:
            raise FileUnreadable(self.number, "not a segment of EDIFACT") from error
        whole = tuple((part,) if isinstance(part, str) else tuple(part) for part in parts)
        return Segment(self.number, self.name, whole[1:])

    def _split(self, text: str) -> tuple[tuple[str, ...], ...]:
        # Most segments release nothing, and pydifact goes through them character by character.
        component, element = self.separators.component.decode(), self.separators.element.decode()
        return tuple(tuple(part.split(component)) for part in text.split(element)[1:])


def is_edifact(start: bytes) -> bool:
    """Whether a file that begins so is EDIFACT."""
    return start.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS)[:3] in (b"UNA", b"UNB")


def segments(file: BinaryIO) -> Iterator[RawSegment]:
    """Every segment but UNA, in order. Raises FileUnreadable where no further one can be found.

    A last segment without its end is one of these: the file was cut off.
    """
    source = _Source(file)
    separators, charset, number = Separators(), "ascii", 0
    while source.skip_blanks():
        number += 1
        if source.starts_with(b"UNA"):
            separators = _advice(source.take(9), number)
            continue
        data = source.segment(separators, number)
        if data[:3] == b"UNB":
            charset = _charset(data, separators, number)
        yield RawSegment(number, data, separators, charset)


class _Source:
    """A file's bytes, of which little more than a block is ever held."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._held = b""
        self._at = 0
        if self.starts_with(b"\xef\xbb\xbf"):
            self._at = 3

    def _more(self) -> bool:
        block = self._file.read(BLOCK)
        self._held, self._at = self._held[self._at :] + block, 0
        return bool(block)

    def skip_blanks(self) -> bool:
        """Goes to the next segment; False at the end."""
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in _BLANKS:
                    return True
                self._at += 1
            if not self._more():
                return False

    def starts_with(self, text: bytes) -> bool:
        """Whether ``text`` comes next."""
        while len(self._held) - self._at < len(text) and self._more():
            pass
        return self._held.startswith(text, self._at)

    def take(self, length: int) -> bytes:
        """The next bytes, fewer at the end."""
        while len(self._held) - self._at < length and self._more():
            pass
        taken = self._held[self._at : self._at + length]
        self._at += len(taken)
        return taken

    def segment(self, separators: Separators, number: int) -> bytes:
        """The bytes up to the next terminator that is one; goes behind it."""
        searched = self._at
        while True:
            end = self._held.find(separators.terminator, searched)
            length = (len(self._held) if end < 0 else end) - self._at
            if length > LONGEST_SEGMENT:
                why = f"a segment is longer than {LONGEST_SEGMENT} bytes, or has no end"
                raise FileUnreadable(number, why)
            if end < 0:
                if not self._more():
                    raise FileUnreadable(number, "cut off in the middle of a segment")
                searched = length
            elif self._released(end, separators.release):
                searched = end + 1
            else:
                data = self._held[self._at : end]
                self._at = end + 1
                return data

    def _released(self, end: int, release: bytes) -> bool:
        """Whether an odd number of release characters stand before ``end``."""
        first = end
        while first > self._at and self._held[first - 1 : first] == release:
            first -= 1
        return bool((end - first) % 2)


def _advice(una: bytes, number: int) -> Separators:
    if len(una) < 9:
        raise FileUnreadable(number, "cut off in the middle of UNA")
    component, element, _, release, _, terminator = (bytes([byte]) for byte in una[3:])
    release = release.strip()
    used = [one for one in (component, element, release, terminator) if one]
    if len(set(used)) < len(used) or not una.isascii() or any(one.isalnum() for one in used):
        raise FileUnreadable(number, "UNA names no separators")
    if b"\0" in used or terminator in b" \t" or component.isspace() or element.isspace():
        raise FileUnreadable(number, "UNA names no separators")
    return Separators(component, element, release, terminator)


def _charset(unb: bytes, separators: Separators, number: int) -> str:
    told = RawSegment(number, unb, separators, "ascii").read().text(0)
    charset = _CHARSETS.get(told.upper())
    if charset is None:
        raise FileUnreadable(number, f"the character set {told[:10]!r} of UNB is not read")
    return charset
