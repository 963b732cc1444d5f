"""Golden samples of pushes: ``samples/push_<case>.json`` beside what we expect to read in it.

``push_<case>.expected.json`` holds the ``headers`` it came with, and ``told``: each number with
what is said of it, or ``unreadable``: why nothing is. Those of a carrier that is asked for its
changes are single entries of its feed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from milepost.carriers.registry import Carrier
from milepost.carriers.samples import PUSHED, outcome_document
from milepost.errors import CarrierParseError

_EXPECTED = ".expected.json"
_INDENTED = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True, slots=True)
class PushCase:
    """One golden sample; ``expected`` is empty where nobody has written anything yet."""

    name: str
    path: Path
    headers: Mapping[str, str]
    body: bytes
    expected: Mapping[str, Any]


def push_cases(carrier: Carrier) -> Iterator[PushCase]:
    """The samples of what ``carrier`` pushes, by name."""
    for path in sorted((carrier.folder / "samples").glob(f"{PUSHED}*.json")):
        if path.name.endswith(_EXPECTED):
            continue
        expectation = path.with_name(path.stem + _EXPECTED)
        told = orjson.loads(expectation.read_bytes()) if expectation.is_file() else {}
        headers = told.pop("headers", {})
        yield PushCase(path.stem, expectation, headers, path.read_bytes(), told)


def read_push_case(carrier: Carrier, case: PushCase) -> dict[str, Any]:
    """What the carrier's reader makes of ``case``, as a document."""
    read = carrier.read_push if carrier.manifest.push else carrier.read_fed
    try:
        told = read(case.body, case.headers)
    except CarrierParseError as error:
        return {"unreadable": str(error)}
    return {"told": [[number, outcome_document(found)] for number, found in told]}


def rewrite_push(case: PushCase, told: Mapping[str, Any]) -> None:
    """Make ``told`` what is expected. Read the diff before you keep it."""
    document = {"headers": dict(case.headers), **told}
    case.path.write_bytes(orjson.dumps(document, option=_INDENTED))
