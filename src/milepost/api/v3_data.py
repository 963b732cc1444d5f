"""What calls of v3 outside parcel tracking have in common: ``data`` around answers, filters."""

from typing import Any

import orjson
from fastapi import Request, Response

from milepost.api.idempotent import Written
from milepost.api.query_string import check_storable, parameters
from milepost.errors import InvalidInput


def written(document: dict[str, Any], status: int = 200) -> Written:
    """``data`` of a write."""
    return Written(orjson.dumps({"data": document}), status=status)


def answered(document: object) -> Response:
    """``data`` of a look-up, which is for its caller alone."""
    headers = {"cache-control": "private, no-store"}
    content = orjson.dumps({"data": document})
    return Response(content, media_type="application/json", headers=headers)


def parameter_of(request: Request, name: str) -> str | None:
    """The first parameter of that name; an empty one asks nothing."""
    given = (value for key, value in parameters(request.scope) if key == name and value)
    found = next(given, None)
    return None if found is None else check_storable(name, found)


def wrong_choice(name: str, choices: tuple[str, ...]) -> InvalidInput:
    """A parameter that is none of ``choices``."""
    why = f"This is not a valid choice: it is one of {', '.join(choices)}."
    return InvalidInput(why, ("query", name), "invalid_choice")
