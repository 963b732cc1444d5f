"""The forms of a carrier's tracking numbers."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field

from milepost.carriers.checksums import CHECKS
from milepost.carriers.status_rules import STRICT, Confidence


def _known_check(name: str) -> str:
    if name and name not in CHECKS:
        raise ValueError(f"unknown check {name!r}, known: {', '.join(CHECKS)}")
    return name


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """One form of tracking number: a pattern for the whole number, and its check, if any.

    Where a label bears more than the number the pattern names its parts: ``number``, and what the
    check is over (``checked``), and the recipient's ``country`` (its three digits of ISO 3166).
    ``prior`` is how much less than 1 a match says where other carriers' numbers look the same.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    pattern: str
    check: Annotated[str, BeforeValidator(_known_check)] = ""
    confidence: Confidence = "documented"
    prior: Annotated[float, Field(gt=0, le=1)] = 1.0

    def fits(self, key: str) -> bool:
        """Whether ``key`` (a number as ``number_key`` makes it) has this form."""
        return _compiled(self.pattern).fullmatch(key) is not None

    def checks(self, key: str) -> bool:
        """Whether the check of ``key`` holds; so it does where there is none."""
        return not self.check or CHECKS[self.check](self.part(key, "checked") or key)

    def part(self, key: str, name: str) -> str:
        """What stands in ``key`` where the pattern names a part, ``""`` where it names none."""
        found = _compiled(self.pattern).fullmatch(key)
        return (found.groupdict().get(name) or "") if found else ""


# When first needed: all patterns of the catalogue take as long as all else that is read at a start.
@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
