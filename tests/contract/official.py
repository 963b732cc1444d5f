"""The published OpenAPI files, read where they lie beside the project; tests skip where they don't.

They are not ours to copy, so they are looked up and never kept here.
"""

import copy
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

FOLDER = Path(__file__).parents[3] / "shared" / "contract"
V3_TRACKING = "sendcloud-v3-parcel-tracking-openapi.yml"
V2_TRACKING = "sendcloud-v2-tracking-openapi.yml"

FORMATS = jsonschema.FormatChecker(["date", "email", "uuid"])


def is_date_time(value: object) -> bool:
    """RFC 3339: an offset or Z is not optional."""
    if not isinstance(value, str):
        return True
    datetime.fromisoformat(value)
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value))


FORMATS.checkers["date-time"] = (is_date_time, (ValueError,))


@cache
def _document(name: str) -> dict[str, Any]:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the published {name} does not lie beside the project")
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def document(name: str) -> dict[str, Any]:
    """A published file; skips the test by name where it is missing."""
    return copy.deepcopy(_document(name))


def component(source: dict[str, Any], name: str) -> dict[str, Any]:
    """A named schema that can be used by itself."""
    return {"$ref": f"#/components/schemas/{name}", "components": source["components"]}


def response(source: dict[str, Any], path: str, method: str, status: int) -> dict[str, Any]:
    """The schema of a published JSON answer."""
    content = source["paths"][path][method]["responses"][str(status)]["content"]
    return {**content["application/json"]["schema"], "components": source["components"]}


def mismatches(schema: dict[str, Any], value: object) -> list[str]:
    """Where ``value`` differs from ``schema``, formats included; nothing where it matches."""
    validator = jsonschema.Draft202012Validator(schema, format_checker=FORMATS)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def published_carriers() -> set[str]:
    """The codes of the closed list in the v2 file."""
    return set(document(V2_TRACKING)["components"]["schemas"]["carrier"]["enum"])


def v2_tracking_schema(*further_codes: str) -> dict[str, Any]:
    """The published v2 answer, with "" for internal statuses and the free codes named.

    The published list of carrier codes is closed and its own examples send "", which is not in it;
    ``sandbox`` and codes that v3 takes freely can't be in it either (docs/compatibility.md).
    """
    source = document(V2_TRACKING)
    source["components"]["schemas"]["carrier"]["enum"] += ["", *further_codes]
    return component(source, "DetailedTrackingBlob")
