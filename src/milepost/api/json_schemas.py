"""``/schemas/v1/*.json``: the JSON Schemas of our own documents, for anybody.

``python -m milepost.api.json_schemas`` writes the files anew, from the components of our OpenAPI
document.
"""

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from milepost.api import (
    milepost_event_schemas,
    milepost_parcel_schemas,
    milepost_recognise_schemas,
    webhook_schemas,
)
from milepost.api.milepost_schemas import REFUSALS
from milepost.api.v3_schemas import Schema
from milepost.wire.own_schemas import COMPONENTS, DIALECT, FOLDER, file_of, path_of

MEDIA_TYPE = "application/schema+json"
_ABOUT = {
    "parcel": "A parcel as Milepost's own API says it, with or without its events, newest first.",
    "event": "One event of a parcel; `status` and its parts are in force after it.",
    "explanation": "Why a parcel has its status, and what was made of every event.",
    "recognition": "Whose a number may be: every candidate, how likely, and why.",
    "parcel_event": "`data` of `parcels.event.created`, in the v3 body and in a CloudEvent.",
    "feed_event": "What happened, with its place in the account's event feed.",
}
SAID: Schema = {
    **milepost_parcel_schemas.COMPONENTS,
    **milepost_recognise_schemas.COMPONENTS,
    **webhook_schemas.COMPONENTS,
    **milepost_event_schemas.COMPONENTS,
}
"""The components that are published by themselves, and those that they refer to."""
_LINKED = "#/components/schemas/"
_OWN = "#/$defs/"
WORTH_SHARING = 80
"""Characters from which a repeated part is written once."""


def generated(name: str) -> Schema:
    """The schema of that name as a document of its own."""
    own = SAID[COMPONENTS[name]]
    whole = {one: SAID[one] for one in sorted(set(_names(own)))} | {"": own}
    shared = Shared(whole)
    parts = {one: shared.without_repeats(schema) for one, schema in whole.items()}
    return {
        "$schema": DIALECT,
        "$id": path_of(name),
        "title": COMPONENTS[name],
        "description": _ABOUT[name],
        **parts.pop(""),
        "$defs": dict(sorted((parts | shared.definitions).items())),
    }


class Shared:
    """Writes once, under ``$defs``, what a schema says in several places.

    Agents read these schemas with every list of tools: without it they are three times as long.
    """

    def __init__(self, whole: Schema) -> None:
        self._times = Counter(map(json.dumps, _parts(whole)))
        self._names: dict[str, str] = {}
        self.definitions: Schema = {}

    def without_repeats(self, part: Any, called: str = "") -> Any:
        """``part`` with references for its longer repeats; ``called`` is the property it is of."""
        if isinstance(part, list):
            return [self.without_repeats(item, called) for item in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return {"$ref": part["$ref"].replace(_LINKED, _OWN)}
        short = {
            key: {name: self.without_repeats(one, name) for name, one in value.items()}
            if key == "properties"
            else self.without_repeats(value, called)
            for key, value in part.items()
        }
        text = json.dumps(part)
        if self._times[text] < 2 or len(json.dumps(short)) < WORTH_SHARING:
            return short
        name = self._names.setdefault(text, "moment" if "format" in part else called)
        if self.definitions.setdefault(name, short) != short:
            return short
        return {"$ref": _OWN + name}


def text_of(schema: Schema) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def add_to(api: FastAPI) -> None:
    """Serve every schema, without credentials."""
    api.router.routes += [Route(path_of(name), _constant(file_of(name))) for name in COMPONENTS]


def _constant(body: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_: Request) -> Response:
        headers = {"cache-control": "public, max-age=3600"}
        return Response(body, media_type=MEDIA_TYPE, headers=headers)

    return serve


def _parts(part: Any) -> Iterator[Schema]:
    """Every object in a schema, itself included."""
    if isinstance(part, dict):
        yield part
    if isinstance(part, dict | list):
        for one in part.values() if isinstance(part, dict) else part:
            yield from _parts(one)


def _names(schema: Schema) -> Iterator[str]:
    """Every component that a schema refers to, those of its components too."""
    for part in _parts(schema):
        if "$ref" in part:
            name = part["$ref"].removeprefix(_LINKED)
            yield name
            yield from _names(SAID[name])


PATHS: Schema = {
    path_of(name): {
        "get": {
            "tags": ["Schemas"],
            "summary": f"The JSON Schema of: {COMPONENTS[name]}",
            "description": _ABOUT[name],
            "security": [],
            "responses": {
                "200": {
                    "description": "JSON Schema, draft 2020-12",
                    "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
                },
                **{status: REFUSALS[status] for status in ("400", "414", "431", "500")},
            },
        }
    }
    for name in COMPONENTS
}


def write() -> None:
    """Writes the files anew."""
    for name in COMPONENTS:
        file = FOLDER / f"{name}.json"
        file.write_text(text_of(generated(name)), encoding="utf-8")
        sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    write()
