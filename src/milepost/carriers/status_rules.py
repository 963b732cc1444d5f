"""What a carrier's codes and wordings mean: the rules of its manifest, read when first needed.

Most of a long manifest is rules, and most processes never meet most carriers: with the rules of all
of them read at every start, a command would take longer to start than to run.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from milepost.errors import ConfigurationError
from milepost.tracking.vocabulary import (
    UNREAD,
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
Confidence = Literal["documented", "seen", "assumed"]
"""How sure a fact is: the carrier says so in public, somebody's answers show it, or it is hearsay
that nobody confirmed."""
_LISTS = ("status = [", "wording = [")
_TABLES = ("[[status]]", "[[wording]]")


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


ReadingList = Annotated[Reading, BeforeValidator(_reading)]


@dataclass(frozen=True, slots=True)
class StatusRule:
    """What one raw code means. ``same_as`` names the scan where several codes stand for it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
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

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
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
class _Tables:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    status: tuple[StatusRule, ...] = ()
    wording: tuple[WordingRule, ...] = ()


_ADAPTER = TypeAdapter(_Tables)


class Rules:
    """The rules in ``text``, the part of the manifest ``where`` that holds them.

    Whatever reads them first raises ConfigurationError where they are not right.
    """

    def __init__(self, text: str = "", where: str = "") -> None:
        self._text = text
        self._where = where

    @classmethod
    def of(cls, status: Iterable[StatusRule], wording: Iterable[WordingRule]) -> "Rules":
        """These rules, whoever states them."""
        rules = cls()
        rules._tables = _Tables(tuple(status), tuple(wording))
        return rules

    @cached_property
    def _tables(self) -> _Tables:
        told: _Tables = read_toml(_ADAPTER, self._text, self._where)
        return told

    @property
    def status(self) -> tuple[StatusRule, ...]:
        """What codes mean."""
        return self._tables.status

    @property
    def wording(self) -> tuple[WordingRule, ...]:
        """What wordings mean."""
        return self._tables.wording

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

    def classify_by_code(self, raw_code: str, *texts: str) -> tuple[str, Reading]:
        """Like ``classify``, for carriers whose codes are finer than their words.

        What a code means goes first and the code is the class; the words are read where it is new.
        """
        known = self.by_code.get(raw_code)
        if known:
            return known.same_as or known.raw, known.reading
        rule, reading = self.classify(raw_code, *texts)
        return raw_code or rule, reading


def read_toml(adapter: TypeAdapter[Any], text: str, where: str, **further: Any) -> Any:
    """What ``text`` says, checked. Raises ConfigurationError naming file and field."""
    try:
        return read_tables(adapter, {**tomllib.loads(text), **further}, where)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: {error}") from error


def read_tables(adapter: TypeAdapter[Any], tables: Mapping[str, Any], where: str) -> Any:
    """What tables of TOML say, checked. Raises ConfigurationError naming file and field."""
    try:
        return adapter.validate_python(tables)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"])
        raise ConfigurationError(f"{where}: {field}: {first['msg']}") from error


def parted(text: str) -> tuple[str, str]:
    """A manifest without its rules, and its rules alone; both keep the numbers of their lines.

    By lines, as reading all of it to take it apart is what this is to spare. So rules stand at the
    beginning of a line, a list of them ends with a ``]`` there, and a test reads every manifest
    both ways.
    """
    lines: tuple[list[str], list[str]] = ([], [])
    in_list = in_table = False
    for line in text.splitlines():
        if not in_list and line.startswith(_LISTS):
            in_list = True
        elif not in_list and line.startswith("["):
            in_table = line.startswith(_TABLES)
        ours = in_list or in_table
        lines[ours].append(line)
        lines[not ours].append("")
        if in_list and line.endswith("]") and (line[0] == "]" or line.startswith(_LISTS)):
            in_list = False
    return "\n".join(lines[0]), "\n".join(lines[1])


def fold(text: str) -> str:
    """The form of a wording that rules are matched with: lower case, single blanks, no novel."""
    return " ".join(text.casefold().split())[:300]


def _words(folded: str) -> str:
    # Without digits: a counter or a postal code in the text doesn't make it another scan.
    return " ".join(re.findall(r"[^\W\d_]+", folded))[:60]
