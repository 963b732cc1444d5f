"""What a carrier's ``manifest.toml`` says, typed and checked when it is read."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter

from milepost.carriers.changes import Changes
from milepost.carriers.connector import Credential
from milepost.carriers.file_form import FileForm
from milepost.carriers.number_format import NumberFormat
from milepost.carriers.push import Push
from milepost.carriers.status_rules import (
    STRICT,
    Confidence,
    Rules,
    StatusRule,
    parted,
    read_toml,
)
from milepost.errors import ConfigurationError
from milepost.tracking.vocabulary import Reading

SHARE_OF_QUOTA = 0.95
"""How much of a carrier's limit we use: its clock and ours are not the same."""
HELD_UP_SECONDS = 0.1
"""By how much the way to a carrier may hold one question up beside the next, at the least."""


@cache
def _known_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"no time zone {name!r}") from error


def _page(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class TrackingPage:
    """The carrier's page of a parcel: a template with ``{n}`` (number), ``{pc}`` (postal code),
    ``{lang}``, ``{cc}`` and ``{CC}`` (country), for the ``countries`` it serves (empty: all)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    url: str
    countries: tuple[str, ...] = ()
    confidence: Confidence = "documented"


@dataclass(frozen=True, slots=True)
class CredentialField:
    """One thing to know before asking; ``secret`` ones are never shown or typed visibly."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    name: str
    label: str
    secret: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class Quota:
    """How often the carrier may be asked with one credential; None is no limit."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    per_second: Annotated[float, Field(gt=0)] | None = None
    per_minute: Annotated[float, Field(gt=0)] | None = None
    per_hour: Annotated[float, Field(gt=0)] | None = None
    per_day: Annotated[float, Field(gt=0)] | None = None
    confidence: Confidence = "documented"

    @property
    def spacing_seconds(self) -> float:
        """The least time between two questions, so that no limit is ever met; 0 is no limit."""
        return max(
            (max(span / SHARE_OF_QUOTA, span + HELD_UP_SECONDS) / n for n, span in self._limits),
            default=0.0,
        )

    @property
    def slack_seconds(self) -> float:
        """By how much questions may be late, one against another, before a limit can be met."""
        # n + 1 questions take n spacings. A limit that is no whole number is one per span / n.
        whole = [(n, span) if n == int(n) else (1, span / n) for n, span in self._limits]
        gap = self.spacing_seconds
        return min((n * gap - span for n, span in whole), default=float("inf"))

    @property
    def _limits(self) -> list[tuple[float, float]]:
        limits = (
            (self.per_second, 1.0),
            (self.per_minute, 60.0),
            (self.per_hour, 3_600.0),
            (self.per_day, 86_400.0),
        )
        return [(n, span) for n, span in limits if n]


@dataclass(frozen=True, slots=True)
class Cadence:
    """Seconds between checks where this carrier differs from the settings (None: it doesn't)."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    before_first_scan: Annotated[float, Field(gt=0)] | None = None
    in_transit: Annotated[float, Field(gt=0)] | None = None
    in_delivery: Annotated[float, Field(gt=0)] | None = None
    after_end: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """Where the carrier is asked and what documents it; for people, ``protocol``, what kind of
    ``login`` it takes and on which ``terms`` somebody is let in."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    base_url: str = ""
    documentation: str = ""
    protocol: str = ""
    login: str = ""
    terms: str = ""
    confidence: Confidence = "documented"

    @property
    def host(self) -> str:
        """The host of ``base_url``, the key of a host route."""
        return self.base_url.partition("//")[2].split("/", 1)[0]


@dataclass(frozen=True, slots=True)
class Feed:
    """How the carrier tells by itself: it calls us (``push``) or lays down ``files``."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    kind: Literal["push", "files"]
    what: str
    confidence: Confidence = "documented"


_NO_FILES = FileForm()


@dataclass(frozen=True)
class Manifest:
    """One carrier. ``code`` is Sendcloud's code and the folder's name; ``confidence`` says how sure
    it is who is behind it, ``note`` what people should know.

    ``tier``: A has a documented API and public answers of it, B an API without such answers, C no
    API that is known, D is asked through another carrier, ``answered_by``, with the fields
    ``ask_with`` added to that one's login. Of ``tracking_pages`` the first one of which everything
    is known is used. ``countries`` are those it is at home in; one that ``delivers_abroad`` may be
    met in all others, too. One that tells the codes of another names it in ``rules_of`` and has
    that one's rules, their source and version. A ``simulated`` carrier's clock is heeded, and it is
    served by us (``stories`` names its script).
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    code: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    name: str
    tier: Literal["A", "B", "C", "D", "simulated"]
    home_zone: Annotated[str, BeforeValidator(_known_zone)]
    countries: tuple[str, ...] = ()
    delivers_abroad: bool = False
    confidence: Confidence = "documented"
    note: str = ""
    answered_by: str = ""
    ask_with: Mapping[str, str] = field(default_factory=dict)
    mapping_version: int = 1
    formats: tuple[NumberFormat, ...] = ()
    test_numbers: tuple[str, ...] = ()
    invalid_numbers: tuple[str, ...] = ()
    tracking_pages: tuple[Annotated[TrackingPage, BeforeValidator(_page)], ...] = ()
    api: Api | None = None
    credential: tuple[CredentialField, ...] = ()
    batch_size: Annotated[int, Field(ge=1)] = 1
    quota: Quota = Quota()
    cadence: Cadence = Cadence()
    feeds: tuple[Feed, ...] = ()
    push: Push | None = None
    changes: Changes | None = None
    # Not as a default, which would be copied for every manifest.
    files: FileForm = field(default_factory=lambda: _NO_FILES)
    simulated: bool = False
    stories: str = ""
    checked_on: date | None = None
    status_source: str = ""
    rules_of: str = ""
    rules: Rules = field(default_factory=Rules)

    @property
    def needs_credential(self) -> bool:
        """Whether nobody can ask without a credential."""
        return any(one.required for one in self.credential)

    @property
    def by_code(self) -> Mapping[str, StatusRule]:
        """The status rules by raw code."""
        return self.rules.by_code

    def classify(self, raw_code: str, *texts: str) -> tuple[str, Reading]:
        """The scan class and the reading of one event (see ``Rules.classify``)."""
        return self.rules.classify(raw_code, *texts)

    def classify_by_code(self, raw_code: str, *texts: str) -> tuple[str, Reading]:
        """The same where the code is finer than the words (see ``Rules.classify_by_code``)."""
        return self.rules.classify_by_code(raw_code, *texts)

    def quota_for(self, credential: Credential) -> Quota:
        """The carrier's quota, or what the credential's owner was granted beyond it.

        That is in the optional credential fields ``calls_per_second``, ``calls_per_minute``,
        ``calls_per_hour`` and ``calls_per_day``.
        """
        return dataclasses.replace(
            self.quota,
            per_second=_granted(credential, "calls_per_second") or self.quota.per_second,
            per_minute=_granted(credential, "calls_per_minute") or self.quota.per_minute,
            per_hour=_granted(credential, "calls_per_hour") or self.quota.per_hour,
            per_day=_granted(credential, "calls_per_day") or self.quota.per_day,
        )


_ADAPTER = TypeAdapter(Manifest)


def read_manifest(path: Path) -> Manifest:
    """The manifest in ``path``. Raises ConfigurationError naming the file and the field.

    Its rules are read when they are first needed (see ``Rules``).
    """
    manifest, rules = parted(path.read_text(encoding="utf-8"))
    told: Manifest = read_toml(_ADAPTER, manifest, str(path), rules=Rules(rules, str(path)))
    return _with_rules_of_another(told, path, rules) if told.rules_of else told


def _with_rules_of_another(told: Manifest, path: Path, rules: str) -> Manifest:
    of_it = path.parent.parent / told.rules_of / path.name
    if rules.strip() or not of_it.is_file():
        why = "rules of its own, too" if rules.strip() else f"no manifest {of_it}"
        raise ConfigurationError(f"{path}: rules_of: {why}")
    other = read_manifest(of_it)
    if other.rules_of:
        raise ConfigurationError(f"{path}: rules_of: {told.rules_of} has no rules of its own")
    same = ("rules", "status_source", "mapping_version")
    return dataclasses.replace(told, **{name: getattr(other, name) for name in same})


def _granted(credential: Credential, name: str) -> float | None:
    try:
        number = float(credential.fields.get(name, ""))
    except ValueError:
        return None
    # A smaller one is a slip, and the time between two questions would fit no clock.
    return number if 1e-6 <= number < 1e9 else None
