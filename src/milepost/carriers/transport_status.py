"""What a status in a carrier's EDIFACT messages means: its own rules first, then the UN's codes.

A code is stored as ``IFTSTA 21``, with a reason as ``IFTSTA 23+7``; a manifest may have rules for
just these. A code that is the carrier's own word is stored bare, and read as everywhere else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from milepost.carriers.manifest import Manifest
from milepost.carriers.status_rules import Rules
from milepost.tracking.vocabulary import UNREAD, Reading

TABLE = "transport_status.toml"
FORM = "IFTSTA"
"""What an event's fields have as ``form`` that was read here."""
_OF_THE_UN = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_AGENCIES = ("", "6", "9")
"""3055: nobody named, the UN, and GS1, which takes the UN's numbers."""
_UNDELIVERED = ("23", "56")
_RENUMBERED = 50
"""Codes from here on had other meanings in directories before D.96B."""


@dataclass(frozen=True, slots=True)
class TransportStatus:
    """An STS segment: 9015, 9011 (4405), the first 9013, whose code it is (3055), and the release
    of the directory (``01B``; empty where nobody says)."""

    category: str
    status: str
    reason: str = ""
    agency: str = ""
    release: str = ""

    def fields(self) -> dict[str, str]:
        """As an event keeps it, to be read once more (``of_fields``)."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return {"form": FORM} | {name: value for name, value in told.items() if value}

    @classmethod
    def of_fields(cls, kept: Mapping[str, str]) -> "TransportStatus":
        """What ``fields`` gave."""
        return cls(*(kept.get(name, "") for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """How a status is stored: as which code, as which scan, and what it means."""

    raw_code: str
    scan_class: str
    reading: Reading


def read_status(manifest: Manifest | None, told: TransportStatus, text: str) -> ReadStatus:
    """What ``told`` means at the carrier of ``manifest``; None is one we have no folder of.

    1. A rule of the manifest for the code with its reason, or for the code, written as above.
    2. A code that is no number of the UN's, or another agency's, is the carrier's own word.
    3. The UN's table. What nobody maps is UNREAD.
    """
    coded = f"IFTSTA {told.status}"
    raw = f"{coded}+{told.reason}" if told.reason else coded
    for name in (raw, coded):
        rule = manifest.by_code.get(name) if manifest else None
        if rule is not None:
            return ReadStatus(raw, rule.same_as or raw, rule.reading)
    if not _OF_THE_UN.fullmatch(told.status) or told.agency not in _AGENCIES:
        name, reading = manifest.classify(told.status, text) if manifest else (told.status, UNREAD)
        return ReadStatus(told.status, name, reading)
    return ReadStatus(raw, raw, _generic(told))


def _generic(told: TransportStatus) -> Reading:
    if int(told.status) >= _RENUMBERED and not _since_96b(told.release):
        return UNREAD
    rules = _table().by_code
    why = f"IFTSTA undelivered+{told.reason}" if told.status in _UNDELIVERED else ""
    rule = rules.get(why) or rules.get(f"IFTSTA {told.status}")
    return rule.reading if rule else UNREAD


def _since_96b(release: str) -> bool:
    # 90.1 to 99B, then 00A: a year in two digits. A message that names none is not an old one.
    if not re.fullmatch(r"\d\d.{0,2}", release, re.ASCII):
        return True
    year = int(release[:2])
    return year < 90 or (year, release[2:].upper()) >= (96, "B")


@cache
def _table() -> Rules:
    return Rules(files("milepost.carriers").joinpath(TABLE).read_text(encoding="utf-8"), TABLE)
