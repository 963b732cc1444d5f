"""What a list of parcels may be asked for: each parameter once, with its schema and its reader."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic_core import PydanticCustomError

from milepost.api.bodies import Refused
from milepost.api.problems import FieldProblem, invalid
from milepost.api.query_string import check_storable
from milepost.api.v3_fields import MOMENT_PATTERN, NO_NUL, read_moment
from milepost.api.v3_models import MOST_PROBLEMS
from milepost.errors import InvalidInput
from milepost.parcels.listing import SORTS, Asked, Filters
from milepost.tracking.status import STATUSES
from milepost.tracking.vocabulary import ExceptionCode, Phase

MOST_ON_A_PAGE = 100
PAGE_SIZE = 50
MOST_CHOSEN = 50
MOST_TEXT = 200

Schema = dict[str, Any]
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_SIZE = re.compile(r"[0-9]{1,3}")
_CURSOR = re.compile(r"[A-Za-z0-9_-]{32}")
_WAYS = tuple(f"{way}{column}" for column in SORTS for way in ("-", ""))


@dataclass(frozen=True, slots=True)
class ListRequest:
    """The page asked for, and whether its parcels come with their events."""

    page: Asked
    events: bool


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its JSON Schema, what it means, and how it narrows a request."""

    schema: Schema
    description: str
    read: Callable[[ListRequest, str, str], ListRequest]


def read_list(given: Iterable[tuple[str, str]]) -> ListRequest:
    """The request that a query makes. Raises Refused that names every wrong parameter."""
    asked = ListRequest(Asked(Filters()), events=False)
    wrong: list[FieldProblem] = []
    seen: set[str] = set()
    for name, value in given:
        try:
            asked = _narrowed(asked, name, value, seen)
        except InvalidInput as refused:
            wrong.append(FieldProblem(refused.field, refused.message, refused.kind))
    if wrong:
        raise Refused(invalid(*wrong[:MOST_PROBLEMS]))
    return asked


def _narrowed(asked: ListRequest, name: str, value: str, seen: set[str]) -> ListRequest:
    parameter = PARAMETERS.get(name)
    if parameter is None:
        raise _refused(name, f"Unknown parameter; there are {', '.join(PARAMETERS)}", "unknown")
    if name in seen:
        raise _refused(name, "Given twice; separate values by commas", "twice")
    seen.add(name)
    return parameter.read(asked, name, check_storable(name, value))


def _filtered(asked: ListRequest, **changes: Any) -> ListRequest:
    page = replace(asked.page, filters=replace(asked.page.filters, **changes))
    return replace(asked, page=page)


def _refused(name: str, why: str, kind: str) -> InvalidInput:
    return InvalidInput(why, ("query", name), kind)


def _chosen(field: str, words: Iterable[str], what: str) -> Parameter:
    """Any of several words, separated by commas."""
    known = [str(word) for word in words]

    def read(asked: ListRequest, name: str, value: str) -> ListRequest:
        for word in (chosen := _split(name, value)):
            if word not in known:
                raise _refused(name, f"Not one of {', '.join(known)}", "enum")
        return _filtered(asked, **{field: chosen})

    one = "|".join(known)
    return Parameter({"type": "string", "pattern": f"^({one})(,({one})){{0,49}}$"}, what, read)


def _split(name: str, value: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(value.split(",")))
    if len(words) > MOST_CHOSEN:
        raise _refused(name, f"At most {MOST_CHOSEN} values", "too_long")
    return tuple(sorted(words))


def _countries(field: str, what: str) -> Parameter:
    def read(asked: ListRequest, name: str, value: str) -> ListRequest:
        chosen = _split(name, value)
        if not all(_COUNTRY.fullmatch(code) for code in chosen):
            raise _refused(name, "Not a country code of two letters", "country_code_format")
        return _filtered(asked, **{field: tuple(code.upper() for code in chosen)})

    pattern = "^[A-Za-z]{2}(,[A-Za-z]{2}){0,49}$"
    return Parameter({"type": "string", "pattern": pattern}, what, read)


def _carriers(asked: ListRequest, name: str, value: str) -> ListRequest:
    chosen = _split(name, value.lower())
    if not all(chosen):
        raise _refused(name, "A carrier code is empty", "carrier_code_format")
    return _filtered(asked, carriers=chosen)


def _moment(field: str, what: str) -> Parameter:
    def read(asked: ListRequest, name: str, value: str) -> ListRequest:
        return _filtered(asked, **{field: moment_of(name, value)})

    return Parameter({"type": "string", "pattern": MOMENT_PATTERN}, what, read)


def moment_of(name: str, value: str) -> datetime:
    """The time (UTC) that a parameter states. Raises InvalidInput that names it."""
    try:
        return read_moment(value)
    except PydanticCustomError as refused:
        raise _refused(name, str(refused), refused.type) from refused


def _text(field: str, most: int, what: str, least: int = 1) -> Parameter:
    def read(asked: ListRequest, name: str, value: str) -> ListRequest:
        if not least <= len(value) <= most:
            raise _refused(name, f"Must have {least} to {most} characters", "length")
        return _filtered(asked, **{field: value})

    schema = {"type": "string", "minLength": least, "maxLength": most, "pattern": NO_NUL}
    return Parameter(schema, what, read)


def _active(asked: ListRequest, name: str, value: str) -> ListRequest:
    if value not in ("true", "false"):
        raise _refused(name, "Input should be 'true' or 'false'", "bool_parsing")
    return _filtered(asked, active=value == "true")


def _sort(asked: ListRequest, name: str, value: str) -> ListRequest:
    if value not in _WAYS:
        raise _refused(name, f"Not one of {', '.join(_WAYS)}", "enum")
    page = replace(asked.page, sort=value.removeprefix("-"), descending=value.startswith("-"))
    return replace(asked, page=page)


def size_of(name: str, value: str) -> int:
    """How many a page is to have. Raises InvalidInput that names the parameter."""
    if not _SIZE.fullmatch(value) or not 1 <= int(value) <= MOST_ON_A_PAGE:
        raise _refused(name, f"Must be from 1 to {MOST_ON_A_PAGE}", "range")
    return int(value)


def checked_cursor(name: str, value: str) -> str:
    """A cursor that has the form of one. Raises InvalidInput that names the parameter."""
    if not _CURSOR.fullmatch(value):
        raise _refused(name, "Not a cursor of ours", "cursor_format")
    return value


def _size(asked: ListRequest, name: str, value: str) -> ListRequest:
    return replace(asked, page=replace(asked.page, size=size_of(name, value)))


def _cursor(asked: ListRequest, name: str, value: str) -> ListRequest:
    return replace(asked, page=replace(asked.page, cursor=checked_cursor(name, value)))


def _include(asked: ListRequest, name: str, value: str) -> ListRequest:
    if value != "events":
        raise _refused(name, "Input should be 'events'", "enum")
    return replace(asked, events=True)


PARAMETERS: dict[str, Parameter] = {
    "q": _text(
        "text",
        MOST_TEXT,
        "Each word must begin a word of the number, the source_id, the order number, or the "
        "recipient's name, company, postal code or city. Case and accents don't count.",
    ),
    "status": _chosen("statuses", STATUSES, "v3 status codes, separated by commas."),
    "phase": _chosen("phases", Phase, "Phases, separated by commas."),
    "exception": _chosen("exceptions", ExceptionCode, "Exceptions, separated by commas."),
    "carrier_code": Parameter(
        {"type": "string", "pattern": r"^[^\u0000,]+(,[^\u0000,]+){0,49}$"},
        "Carrier codes, separated by commas.",
        _carriers,
    ),
    "from_country": _countries("from_countries", "Countries of the sender, with commas."),
    "to_country": _countries("to_countries", "Countries of the recipient, with commas."),
    "active": Parameter(
        {"type": "string", "enum": ["true", "false"]},
        "Whether the journey is still under way.",
        _active,
    ),
    "source_id": _text(
        # A parcel may be registered with an empty one.
        "source_id",
        255,
        "Your own id of the parcel, as a whole.",
        least=0,
    ),
    "order_number": _text("order_number", 255, "The order number, as a whole."),
    "created_from": _moment("created_from", "Registered at this time or later."),
    "created_to": _moment("created_to", "Registered before this time."),
    "announced_from": _moment("announced_from", "Announced at this time or later."),
    "announced_to": _moment("announced_to", "Announced before this time."),
    "updated_since": _moment("updated_from", "Changed at this time or later."),
    "updated_to": _moment("updated_to", "Last changed before this time."),
    "ended_from": _moment("ended_from", "Arrived (or given up) at this time or later."),
    "ended_to": _moment("ended_to", "Arrived (or given up) before this time."),
    "sort": Parameter(
        {"type": "string", "enum": list(_WAYS), "default": "-created_at"},
        "`-` is newest first. By `ended_at` only parcels are listed whose journey is over.",
        _sort,
    ),
    "limit": Parameter(
        {"type": "integer", "minimum": 1, "maximum": MOST_ON_A_PAGE, "default": PAGE_SIZE},
        "Parcels on a page.",
        _size,
    ),
    "cursor": Parameter(
        {"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$"},
        "`next_cursor` of the page before; fits only the list it was given for.",
        _cursor,
    ),
    "include": Parameter(
        {"type": "string", "enum": ["events"]}, "`events`: each parcel with its events.", _include
    ),
}
