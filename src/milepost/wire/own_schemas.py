"""JSON Schemas of what our own API says: published files, the same for every reader. Pure.

The API serves them, ``milepost schema`` prints them, agents' tools declare their results with them.
They are generated from what the OpenAPI document is made of
(``python -m milepost.api.json_schemas``) and kept as files, so that a change is seen in review.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("schemas") / "v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENTS = {
    "parcel": "Parcel",
    "event": "Event",
    "explanation": "Explanation",
    "recognition": "Recognition",
    "parcel_event": "ParcelEvent",
    "feed_event": "FeedEvent",
}
"""Each published name, and what it is called in the OpenAPI document."""


def path_of(name: str) -> str:
    """The stable path of a schema; also its ``$id``, below wherever it is served."""
    return f"/schemas/v1/{name}.json"


@cache
def file_of(name: str) -> bytes:
    """The published schema as bytes. KeyError for a name that is none of ``COMPONENTS``."""
    if name not in COMPONENTS:
        raise KeyError(name)
    return (FOLDER / f"{name}.json").read_bytes()


def definitions(*names: str) -> dict[str, Any]:
    """``$defs`` for a schema that refers to these as ``#/$defs/<component>``."""
    found: dict[str, Any] = {}
    for name in names:
        schema = json.loads(file_of(name))
        found |= schema.pop("$defs", {})
        found[COMPONENTS[name]] = {
            key: value for key, value in schema.items() if not key.startswith("$")
        }
    return found
