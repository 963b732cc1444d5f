"""A carrier's JSON, read with care: typed access that says where an answer is not as documented."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from milepost.carriers.looked_at import show_json
from milepost.errors import CarrierParseError

LONGEST_LIST = 2_000
MOST_EVENTS = 300
"""More than any parcel has; reading one takes up to half a millisecond."""
LONGEST_TEXT = 1_000
# Control, bidirectional, zero-width: no wording needs them, and PostgreSQL takes no NUL.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def read_json(body: bytes) -> "Tree":
    """The document in ``body``. Raises CarrierParseError when it is not JSON."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise CarrierParseError("the answer is not JSON") from error
    show_json(document)
    return Tree(document, "answer")


def clean_text(text: str) -> str:
    """``text`` on one line without unprintable characters, at most 1,000 characters."""
    if text.isprintable() and len(text) <= LONGEST_TEXT and "  " not in text:
        # Most are: to look is a tenth of rewriting.
        return text.strip(" ")
    return " ".join(_UNPRINTABLE.sub(" ", text[: 4 * LONGEST_TEXT]).split())[:LONGEST_TEXT]


@dataclass(slots=True)
class Tree:
    """One value of a JSON document and where it is. A missing value is as good as null."""

    value: Any
    where: "str | tuple[Tree, str]"
    """The root's name, or the value it is in and the step from there."""

    @property
    def path(self) -> str:
        """How to find it, for errors; made only then: an answer has dozens of values."""
        if isinstance(self.where, str):
            return self.where
        parent, step = self.where
        return parent.path + step

    def child(self, *names: str) -> "Tree":
        """The value under ``names``; missing where a step is missing or null."""
        here = self
        for name in names:
            value = here.value
            if value is not None and not isinstance(value, dict):
                raise CarrierParseError(f"{here.path} is not an object")
            here = Tree(None if value is None else value.get(name), (here, f".{name}"))
        return here

    def text(self, *names: str) -> str:
        """A string or whole number as text, cleaned; ``""`` where there is none."""
        if len(names) == 1 and type(self.value) is dict:
            told = self.value.get(names[0])
            if type(told) is str:
                return clean_text(told)
            if told is None:
                return ""
        found = self.child(*names)
        match found.value:
            case None:
                return ""
            case str() as text:
                return clean_text(text)
            case bool():
                raise CarrierParseError(f"{found.path} is not a text")
            case int() as number:
                return str(number)
        raise CarrierParseError(f"{found.path} is not a text")

    def needed_text(self, *names: str) -> str:
        """Like ``text``, and an empty one is an error."""
        text = self.text(*names)
        if not text:
            raise CarrierParseError(f"{self.child(*names).path} is missing")
        return text

    def flag(self, *names: str) -> bool:
        """A boolean; False where there is none."""
        found = self.child(*names)
        if found.value is None or isinstance(found.value, bool):
            return bool(found.value)
        raise CarrierParseError(f"{found.path} is not true or false")

    def items(self, *names: str, at_most: int = LONGEST_LIST) -> Iterator["Tree"]:
        """The members of a list; none where there is none. One object stands for a list of it."""
        found = self.child(*names)
        members = [found.value] if isinstance(found.value, dict) else found.value or []
        if not isinstance(members, list) or len(members) > at_most:
            raise CarrierParseError(f"{found.path} is not a list of at most {at_most}")
        for place, member in enumerate(members):
            yield Tree(member, (found, f"[{place}]"))

    def as_json(self) -> bytes:
        """The value by itself, as it is kept."""
        try:
            return orjson.dumps(self.value)
        except orjson.JSONEncodeError as error:
            # What is read may be four times as deep as what is written.
            raise CarrierParseError(f"{self.path} is nested too deep") from error
