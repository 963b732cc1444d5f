"""Reading the query of an address: decoded once, strictly, and every fault named."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

from fastapi import Request

from milepost.api.authentication import Scope
from milepost.api.json_input import storable
from milepost.errors import InvalidInput


def parameters(scope: Scope) -> list[tuple[str, str]]:
    """Names and values in their order. Raises InvalidInput for text that is not UTF-8."""
    query: bytes = scope["query_string"]
    if not query:
        return []
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError) as broken:
        raise InvalidInput("Query is not UTF-8", ("query",), "string_unicode") from broken


def named(scope: Scope, *known: str) -> dict[str, str]:
    """Values by name, of a query that may name these, each once. Raises InvalidInput."""
    given: dict[str, str] = {}
    for name, value in parameters(scope):
        if name not in known or name in given:
            raise InvalidInput("Unknown parameter, or given twice", ("query", name), "unknown")
        given[name] = check_storable(name, value)
    return given


def address_of(request: Request, path: str, given: Iterable[tuple[str, str]]) -> str:
    """Where clients reach a path of ours with that query: they ask for it as it stands."""
    public_url: str = request.app.state.parts.core.settings.public_url
    home = public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
    return f"{home}{path}?{urlencode(list(given))}"


def check_storable(name: str, value: str) -> str:
    """``value``, unless PostgreSQL could not hold it. Raises InvalidInput."""
    if not storable(value):
        raise InvalidInput("Text has a NUL", ("query", name), "string_unicode")
    return value
