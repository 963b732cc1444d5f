"""What a carrier's ``manifest.toml`` says, typed and checked when it is read."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from milepost.carriers.checksums import CHECKS
from milepost.carriers.connector import Credential
from milepost.errors import ConfigurationError
from milepost.tracking.vocabulary import (
    UNREAD,
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
SHARE_OF_QUOTA = 0.95
"""How much of a carrier's limit we use: its clock and ours are not the same."""


def _reading(value: Any) -> Reading:
    match value:
        case Reading():
            return value
        case [str(phase), str(exception), str(status_type), str(sub_status)]:
            return Reading(
                Phase(phase),
                ExceptionCode(exception),
                StatusType(status_type),
                SubStatus(sub_status),
            )
    raise ValueError("a reading is [phase, exception, status_type, sub_status]")


def _known_check(name: str) -> str:
    if name and name not in CHECKS:
        raise ValueError(f"unknown check {name!r}, known: {', '.join(CHECKS)}")
    return name


def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"no time zone {name!r}") from error


ReadingList = Annotated[Reading, BeforeValidator(_reading)]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """One form of tracking number: a pattern for the whole number, and its check, if any."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    pattern: re.Pattern[str]
    check: Annotated[str, BeforeValidator(_known_check)] = ""


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One thing to know before asking; ``secret`` ones are never shown or typed visibly."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    label: str
    secret: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class Quota:
    """How often the carrier may be asked with one credential; None is no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    per_second: Annotated[float, Field(gt=0)] | None = None
    per_minute: Annotated[float, Field(gt=0)] | None = None
    per_day: Annotated[float, Field(gt=0)] | None = None

    @property
    def spacing_seconds(self) -> float:
        """The least time between two questions, so that no limit is ever met; 0 is no limit."""
        return max((span / (n * SHARE_OF_QUOTA) for n, span in self._limits), default=0.0)

    @property
    def slack_seconds(self) -> float:
        """By how much questions may be late, one against another, before a limit can be met."""
        # n + 1 questions take n spacings. A limit that is no whole number is one per span / n.
        whole = [(n, span) if n == int(n) else (1, span / n) for n, span in self._limits]
        gap = self.spacing_seconds
        return min((n * gap - span for n, span in whole), default=float("inf"))

    @property
    def _limits(self) -> list[tuple[float, float]]:
        limits = ((self.per_second, 1.0), (self.per_minute, 60.0), (self.per_day, 86_400.0))
        return [(n, span) for n, span in limits if n]


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between checks where this carrier differs from the settings (None: it doesn't)."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    before_first_scan: Annotated[float, Field(gt=0)] | None = None
    in_transit: Annotated[float, Field(gt=0)] | None = None
    in_delivery: Annotated[float, Field(gt=0)] | None = None
    after_end: Annotated[float, Field(gt=0)] | None = None


Confidence = Literal["documented", "seen", "assumed"]


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What one raw code means. ``same_as`` names the scan where several codes stand for it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    raw: str
    reading: ReadingList
    same_as: str = ""
    confidence: Confidence = "documented"


@dataclass(frozen=True, slots=True)
class WordingRule:
    """What a wording means where the code is too coarse. Rules are tried in order.

    One of ``match`` must be found in the folded text and none of ``unless``; ``codes`` limits the
    rule to raw codes, so that a text never overrules a code that says the contrary.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    id: str
    match: tuple[re.Pattern[str], ...]
    reading: ReadingList
    codes: tuple[str, ...] = ()
    unless: tuple[re.Pattern[str], ...] = ()
    confidence: Confidence = "seen"

    def applies(self, raw_code: str, folded: str) -> bool:
        """Whether this rule reads ``folded`` (see ``fold``) under ``raw_code``."""
        return (
            (not self.codes or raw_code in self.codes)
            and any(pattern.search(folded) for pattern in self.match)
            and not any(pattern.search(folded) for pattern in self.unless)
        )


@dataclass(frozen=True, slots=True)
class Api:
    """Where the carrier is asked, and what documents it."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    base_url: str
    documentation: str = ""

    @property
    def host(self) -> str:
        """The host of ``base_url``, the key of a host route."""
        return self.base_url.split("//", 1)[1].split("/", 1)[0]


@dataclass(frozen=True)
class Manifest:
    """One carrier. ``code`` is Sendcloud's code and the folder's name.

    ``tracking_pages`` are templates with ``{n}`` (number), ``{pc}`` (postal code), ``{lang}``,
    ``{cc}`` and ``{CC}`` (country): the first one of which everything is known is used. A
    ``simulated`` carrier's clock is heeded, and it is served by us (``stories`` names its script).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    name: str
    tier: Literal["A", "B", "C", "D", "simulated"]
    home_zone: Annotated[str, BeforeValidator(_known_zone)]
    countries: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    mapping_version: int = 1
    formats: tuple[NumberFormat, ...] = ()
    test_numbers: tuple[str, ...] = ()
    tracking_pages: tuple[str, ...] = ()
    api: Api | None = None
    credential: tuple[CredentialField, ...] = ()
    batch_size: Annotated[int, Field(ge=1)] = 1
    quota: Quota = Quota()
    cadence: Cadence = Cadence()
    simulated: bool = False
    stories: str = ""
    checked_on: date | None = None
    status: tuple[StatusRule, ...] = ()
    wording: tuple[WordingRule, ...] = ()

    @property
    def needs_credential(self) -> bool:
        """Whether nobody can ask without a credential."""
        return any(one.required for one in self.credential)

    @cached_property
    def by_code(self) -> Mapping[str, StatusRule]:
        """The status rules by raw code."""
        return {rule.raw: rule for rule in self.status}

    def classify(self, raw_code: str, *texts: str) -> tuple[str, Reading]:
        """The scan class and the reading of one event (see ``Scan``); UNREAD for an unknown code.

        A wording rule that applies goes first, tried with each of ``texts`` in turn: it is finer
        than the code it is limited to. An event that only a coarse code reads keeps its words in
        the class: two scans of one minute stay two where it is the words that tell them apart.
        """
        for folded in map(fold, texts):
            for rule in self.wording:
                if rule.applies(raw_code, folded):
                    return rule.id, rule.reading
        known = self.by_code.get(raw_code)
        if known and (known.same_as or not self.wording):
            return known.same_as or known.raw, known.reading
        words = _words(fold(texts[0])) if self.wording and texts else ""
        name = f"{raw_code or 'uncoded'}:{words}".rstrip(":")
        return name, known.reading if known else UNREAD

    def quota_for(self, credential: Credential) -> Quota:
        """The carrier's quota, or what the credential's owner was granted beyond it.

        That is in the optional credential fields ``calls_per_second`` and ``calls_per_day``.
        """
        return Quota(
            _granted(credential, "calls_per_second") or self.quota.per_second,
            self.quota.per_minute,
            _granted(credential, "calls_per_day") or self.quota.per_day,
        )


_ADAPTER = TypeAdapter(Manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest in ``path``. Raises ConfigurationError naming the file and the field."""
    try:
        with path.open("rb") as file:
            return _ADAPTER.validate_python(tomllib.load(file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ConfigurationError(f"{path}: {where}: {first['msg']}") from error


def fold(text: str) -> str:
    """The form of a wording that rules are matched with: lower case, single blanks, no novel."""
    return " ".join(text.casefold().split())[:300]


def _words(folded: str) -> str:
    # Without digits: a counter or a postal code in the text doesn't make it another scan.
    return " ".join(re.findall(r"[^\W\d_]+", folded))[:60]


def _granted(credential: Credential, name: str) -> float | None:
    try:
        number = float(credential.fields.get(name, ""))
    except ValueError:
        return None
    # A smaller one is a slip, and the time between two questions would fit no clock.
    return number if 1e-6 <= number < 1e9 else None
