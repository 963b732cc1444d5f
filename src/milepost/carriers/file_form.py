"""How a carrier's CSV files are told apart and read: the ``[files]`` section of its manifest."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict

from milepost.carriers.status_rules import STRICT, Confidence
from milepost.errors import CarrierParseError
from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading, StatusType, SubStatus

W = TypeVar("W", bound=StrEnum)

Column = Literal[
    "tracking_number",
    "code",
    "text",
    "event_at",
    "event_date",
    "event_time",
    "city",
    "postal_code",
    "country_code",
    "depot",
    "phase",
    "exception",
    "status_type",
    "sub_status",
    "expected_delivery_date",
    "signed_by",
]
"""What a row can say. ``event_date`` and ``event_time`` together are ``event_at`` in two cells."""
WORDS: tuple[Column, ...] = ("phase", "exception", "status_type", "sub_status")
"""Columns of our own vocabulary."""


def _time_form(form: str) -> str:
    if form and "%d" not in form and "%j" not in form:
        raise ValueError(f"{form!r} has no day")
    datetime.now(UTC).strftime(form)
    return form


def _known_encoding(name: str) -> str:
    try:
        "".encode(name or "utf-8")
    except LookupError as error:
        raise ValueError(f"no encoding {name!r}") from error
    return name


@dataclass(frozen=True, slots=True)
class FileForm:
    """``columns`` are the carrier's headings by our names. ``separator`` and ``encoding`` are told
    where a file does not show them, ``time_form`` (as ``strptime`` takes it) where times are not
    ISO 8601."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT
    columns: Mapping[Column, str] = field(default_factory=dict)
    separator: Literal["", ",", ";", "\t", "|"] = ""
    encoding: Annotated[str, AfterValidator(_known_encoding)] = ""
    time_form: Annotated[str, AfterValidator(_time_form)] = ""
    confidence: Confidence = "documented"


def told_reading(values: Mapping[str, str]) -> Reading | None:
    """What columns of our own vocabulary say; a row without a phase says nothing by them.

    Raises CarrierParseError for a word that is none of ours.
    """
    if "phase" not in values:
        return None
    exception = _word(ExceptionCode, values, "exception", ExceptionCode.NONE)
    return Reading(
        _word(Phase, values, "phase", Phase.NONE),
        exception,
        _word(StatusType, values, "status_type", usual_type(exception)),
        _word(SubStatus, values, "sub_status", SubStatus.NONE),
    )


def usual_type(exception: ExceptionCode) -> StatusType:
    """The status type of who names none."""
    harmless = exception in (ExceptionCode.NONE, ExceptionCode.RELABELLED)
    return StatusType.SUCCESS if harmless else StatusType.WARNING


def _word(words: type[W], values: Mapping[str, str], name: str, default: W) -> W:
    told = values.get(name, "").lower()
    try:
        return words(told) if told else default
    except ValueError as error:
        close = difflib.get_close_matches(told, list(words), 1)
        hint = f"; is {close[0]} meant?" if close else ""
        raise CarrierParseError(f"{name}: {told[:40]!r} is none of its words{hint}") from error
