"""Golden samples: raw answers in a carrier's folder beside what we expect to read in them.

``samples/<case>.json`` is an answer as the carrier sends it (with made-up people), and
``samples/<case>.expected.json`` holds the question (``status``, ``item``) and the expected outcome.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import orjson

from milepost.carriers.connector import Item, Outcome
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Carrier
from milepost.errors import ConfigurationError

_EXPECTED = ".expected.json"
PUSHED = "push_"
"""Begins the names of samples of what a carrier pushes (``pushed_samples``)."""
_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@runtime_checkable
class ReadsAnswers(Protocol):
    """A connector whose reading is a pure function of question and answer."""

    def outcome(self, item: Item, answer: Answer) -> Outcome:
        """What ``answer`` says about ``item``."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """One golden sample. ``expected`` is None where nobody has written an outcome yet."""

    name: str
    path: Path
    status: int
    item: Item
    body: bytes
    expected: Mapping[str, Any] | None


def cases(carrier: Carrier) -> Iterator[Case]:
    """The golden samples of ``carrier``, by name. ConfigurationError for an answer alone."""
    for path in sorted((carrier.folder / "samples").glob("*")):
        if path.name.endswith(_EXPECTED) or path.name.startswith(PUSHED):
            continue
        expectation = path.with_name(path.stem + _EXPECTED)
        if not expectation.is_file():
            raise ConfigurationError(f"{path} has no {expectation.name} that says what was asked")
        asked = orjson.loads(expectation.read_bytes())
        yield Case(
            path.stem,
            expectation,
            asked["status"],
            _item(asked["item"]),
            path.read_bytes(),
            asked.get("outcome"),
        )


def read_case(carrier: Carrier, case: Case) -> dict[str, Any]:
    """The outcome that the carrier's connector reads in ``case``, as a document."""
    connector = carrier.connector()
    if not isinstance(connector, ReadsAnswers):
        raise ConfigurationError(f"{carrier.manifest.code} has samples and nothing that reads them")
    outcome = connector.outcome(case.item, Answer(case.status, {}, case.body))
    return outcome_document(outcome)


def rewrite(case: Case, outcome: Mapping[str, Any]) -> None:
    """Make ``outcome`` the expected one; what was asked stays. Read the diff before you keep it."""
    asked = orjson.loads(case.path.read_bytes())
    document = {"status": asked["status"], "item": asked["item"], "outcome": outcome}
    case.path.write_bytes(orjson.dumps(document, option=_INDENTED))


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: what is as by default is left out, and so is the raw answer."""
    document = cast(dict[str, Any], _plain(outcome))
    document.pop("raw", None)
    return {"kind": type(outcome).__name__, **document}


def _item(asked: Mapping[str, Any]) -> Item:
    shipped_at = asked.get("shipped_at")
    known = {**asked, "shipped_at": datetime.fromisoformat(shipped_at) if shipped_at else None}
    return Item(**{"key": "sample", **known})


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {
            one.name: _plain(getattr(value, one.name))
            for one in fields(value)
            if one.default is MISSING or getattr(value, one.name) != one.default
        }
    match value:
        case Enum():
            return value.value
        case datetime() | date():
            return value.isoformat()
        case tuple() | list():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in sorted(value.items())}
    return value
