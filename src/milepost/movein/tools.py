"""The tools people move in from: their words for carriers, statuses and columns, as data."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from milepost.tracking.codec import to_reading
from milepost.tracking.vocabulary import Phase, Reading

CODES = ("aftership", "easypost", "17track", "karrio")
NOTICE = Reading(Phase.NONE)
"""What is made of a status we have no word for: told, and taken for no news of the parcel."""
_DEFAULTS = ("none", "none", "success", "none")


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. ``wrappers`` are the keys under which its API hands out lists; ``expected`` says in
    a sentence what its exports look like."""

    code: str
    name: str
    expected: str
    wrappers: frozenset[str]
    carriers: Mapping[str, str]
    readings: Mapping[str, Reading]
    columns: Mapping[str, str]

    def carrier_of(self, *names: str) -> str:
        """Our code for what the tool calls a carrier, ``""`` where it is none of ours."""
        found = (self.carriers.get(_squeezed(self.code, name)) for name in names)
        return next((code for code in found if code), "")

    def reading_of(self, statuses: Iterable[str]) -> Reading | None:
        """What the first of these statuses that is known says; None where none of them is."""
        known = (self.readings.get(status) for status in statuses)
        return next((reading for reading in known if reading is not None), None)


@cache
def tool(code: str) -> Tool:
    """The tool of this code, one of ``CODES``."""
    text = files(__package__).joinpath(f"{code}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    return Tool(
        code=code,
        name=table["name"],
        expected=table["expected"],
        wrappers=frozenset(table["wrappers"]),
        carriers={_squeezed(code, name): ours for name, ours in table["carriers"].items()},
        readings={status: _reading(words) for status, words in table["statuses"].items()},
        columns=table["columns"],
    )


def _reading(words: str) -> Reading:
    given = words.split()
    return to_reading(*given, *_DEFAULTS[len(given) :])


def _squeezed(code: str, name: str) -> str:
    """A carrier's name in the form that is compared: EasyPost's own come in several spellings."""
    plain = name.strip().casefold()
    return re.sub(r"[^a-z0-9]", "", plain) if code == "easypost" else plain
