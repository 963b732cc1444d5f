"""How a carrier's CSV files are told apart and read: the ``[files]`` section of its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict

from milepost.carriers.status_rules import STRICT, Confidence

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
