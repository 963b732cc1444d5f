"""What went wrong, before it takes the form of a published API. A cause stays in the log."""

from dataclasses import dataclass
from http import HTTPStatus

from milepost.accounts.credentials import WRONG_CREDENTIALS
from milepost.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidFields,
    InvalidInput,
    MilepostError,
    NotAuthenticated,
    NotFoundError,
    TooManyRequests,
)

UNAVAILABLE_RETRY_SECONDS = 2
_RENAMED = {
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    422: "Unprocessable Entity",
}
"""What these were called before Python 3.13: codes are made of it, whatever Python we run on."""

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field that is wrong: ``loc`` starts with body, path, query or header."""

    loc: tuple[str | int, ...]
    msg: str
    type: str = "value_error"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, before it takes a published form.

    ``code`` is stable and for machines, ``detail`` one sentence for people. ``retry_after`` is
    whole seconds. ``fields`` names what to correct (422). ``request_id`` finds our log lines.
    """

    status: int
    code: str
    detail: str
    fields: tuple[FieldProblem, ...] = ()
    retry_after: int | None = None
    headers: Headers = ()
    request_id: str = ""


def problem_of(error: MilepostError) -> Problem:
    """The problem an error of ours stands for; only errors meant for users show their text."""
    match error:
        case InvalidInput():
            loc = _located(error.field)
            fields = (FieldProblem(loc, error.message, error.kind),)
            return Problem(error.http_status, error.kind, error.message, fields)
        case InvalidFields():
            every = (FieldProblem(_located(o.field), o.message, o.kind) for o in error.faults)
            return invalid(*every, status=error.http_status)
        case TooManyRequests():
            headers = _over_budget(error)
            return Problem(
                429, error.code, "Too many requests.", (), error.retry_after, headers=headers
            )
        case DatabaseUnavailable():
            detail = "The service is temporarily unavailable."
            return Problem(503, error.code, detail, retry_after=UNAVAILABLE_RETRY_SECONDS)
        case Conflict() if error.field:
            taken = FieldProblem(_located(error.field), str(error), "taken")
            return Problem(error.http_status, "taken", str(error), (taken,))
        case _ if error.http_status < 500:
            return Problem(error.http_status, error.code, str(error) or _default_text(error))
        case _:
            return status_problem(500)


def status_problem(status: int, detail: str = "", headers: Headers = ()) -> Problem:
    """A problem known by its HTTP status alone (405, 408, 413, 414, 415, 431, 500, ...)."""
    phrase = phrase_of(status)
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    return Problem(status, code, detail or phrase, headers=headers)


def phrase_of(status: int) -> str:
    """What the status is called, the same in every version of Python."""
    return _RENAMED.get(status) or HTTPStatus(status).phrase


def invalid(*fields: FieldProblem, status: int = 422) -> Problem:
    """Several wrong fields at once."""
    detail = "; ".join(f"{'.'.join(map(str, one.loc))}: {one.msg}" for one in fields)
    return Problem(status, "validation_error", detail, fields)


def _over_budget(error: TooManyRequests) -> Headers:
    if not error.limit:
        return ()
    return (
        (b"ratelimit-limit", str(error.limit).encode()),
        (b"ratelimit-remaining", b"0"),
        (b"ratelimit-reset", str(error.retry_after).encode()),
    )


def _located(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if path and path[0] in ("body", "path", "query", "header"):
        return path
    return ("body", *path)


def _default_text(error: MilepostError) -> str:
    match error:
        case NotAuthenticated():
            return WRONG_CREDENTIALS
        case NotFoundError():
            return "Not found."
        case Conflict():
            return "Exists already."
        case _:
            return phrase_of(error.http_status)
