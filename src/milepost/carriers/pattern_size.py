"""How many numbers a pattern stands for: the fewer, the more a number that fits it says.

For the patterns that manifests use: characters, ``\\d``, classes, groups, alternatives and bounded
repetition. Lengths beyond ``LONGEST`` are not told apart from each other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

LONGEST = 40
_LETTERS_AND_DIGITS = 36
_REPEAT = re.compile(r"\{(\d+)(,?)(\d*)\}")
_CLASS = re.compile(r"\[((?:\\.|[^\]\\])+)\]")
_ANYTHING: Mapping[int, float] = {
    length: float(_LETTERS_AND_DIGITS) ** length for length in range(1, LONGEST + 1)
}
_DIGITS_ONLY = re.compile(r"\[A-Z0-9\]|\[0-9A-Z\]")

Sizes = Mapping[int, float]
"""How many numbers there are, by their length."""


@dataclass(frozen=True, slots=True)
class Size:
    """The sizes of a pattern, and of what is left of it where letters or digits are digits.

    Whoever writes ``[A-Z0-9]`` often knows no better: most such numbers have digits there.
    """

    sizes: Sizes
    narrow: re.Pattern[str] | None
    narrow_sizes: Sizes

    def density(self, key: str) -> float:
        """How likely just this number is among all that fit; 0 for a length that none has."""
        wide = _share(self.sizes, len(key))
        if self.narrow is None:
            return wide
        fits = self.narrow.fullmatch(key) is not None
        return (wide + (_share(self.narrow_sizes, len(key)) if fits else 0.0)) / 2


def _share(sizes: Sizes, length: int) -> float:
    # Each length is as likely as any other: otherwise the longest would be nearly all there is.
    count = sizes.get(min(length, LONGEST), 0.0)
    return 1 / (len(sizes) * count) if count else 0.0


@cache
def size_of(pattern: str) -> Size:
    """The size of ``pattern``; one that can't be read here counts as every number there is."""
    narrow = _DIGITS_ONLY.sub(r"\\d", pattern)
    sizes = _sizes(pattern)
    if narrow == pattern:
        return Size(sizes, None, {})
    return Size(sizes, re.compile(narrow), _sizes(narrow))


def _sizes(pattern: str) -> Sizes:
    try:
        reader = _Reader(pattern)
        sizes = reader.alternatives()
    except (ValueError, IndexError):
        return _ANYTHING
    return sizes if reader.at_end else _ANYTHING


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._place = 0

    @property
    def at_end(self) -> bool:
        """Whether nothing is left to read."""
        return self._place == len(self._pattern)

    def alternatives(self) -> dict[int, float]:
        """Sequences with ``|`` between them, up to a closing parenthesis or the end."""
        every = self._sequence()
        while self._takes("|"):
            for length, count in self._sequence().items():
                every[length] = every.get(length, 0.0) + count
        return every

    def _sequence(self) -> dict[int, float]:
        whole = {0: 1.0}
        while not self.at_end and self._pattern[self._place] not in "|)":
            whole = _beside(whole, self._repeated(self._one()))
        return whole

    def _one(self) -> dict[int, float]:
        if self._takes("("):
            return self._group()
        if found := _CLASS.match(self._pattern, self._place):
            self._place = found.end()
            return {1: float(_class_size(found[1]))}
        character = self._pattern[self._place]
        self._place += 1
        if character == "\\":
            return {1: float(_escape_size(self._next()))}
        if character in "[]{}*+?^$.":
            raise ValueError(self._pattern)
        return {1: 1.0}

    def _group(self) -> dict[int, float]:
        if self._takes("?:"):
            pass
        elif self._takes("?P<"):
            self._place = self._pattern.index(">", self._place) + 1
        elif self._pattern[self._place] == "?":
            raise ValueError(self._pattern)
        inside = self.alternatives()
        if not self._takes(")"):
            raise ValueError(self._pattern)
        return inside

    def _repeated(self, one: dict[int, float]) -> dict[int, float]:
        if self._takes("?"):
            return _either({0: 1.0}, one)
        found = _REPEAT.match(self._pattern, self._place)
        if found is None:
            return one
        self._place = found.end()
        least, comma, most = int(found[1]), found[2], found[3]
        last = int(most) if most else (LONGEST if comma else least)
        power = {0: 1.0}
        every: dict[int, float] = {}
        for times in range(last + 1):
            if times >= least:
                every = _either(every, power)
            power = _beside(power, one)
        return every

    def _next(self) -> str:
        self._place += 1
        return self._pattern[self._place - 1]

    def _takes(self, text: str) -> bool:
        found = self._pattern.startswith(text, self._place)
        self._place += len(text) * found
        return found


def _either(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    lengths = one.keys() | other.keys()
    return {length: one.get(length, 0.0) + other.get(length, 0.0) for length in lengths}


def _beside(one: Mapping[int, float], other: Mapping[int, float]) -> dict[int, float]:
    both: dict[int, float] = {}
    for length, count in one.items():
        for further, more in other.items():
            if length + further <= LONGEST:
                both[length + further] = both.get(length + further, 0.0) + count * more
    return both


def _class_size(inside: str) -> int:
    if inside.startswith("^"):
        raise ValueError(inside)
    pattern = re.compile(f"[{inside}]")
    return sum(1 for code in range(32, 127) if pattern.match(chr(code)))


def _escape_size(character: str) -> int:
    if character == "d":
        return 10
    if character.isalnum():
        raise ValueError(character)
    return 1
