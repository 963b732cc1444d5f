"""Every error body we send, in one place; pure.

Which published API answers in which form is the business of ``family_of``; what went wrong is a
``Problem``; ``render`` joins the two into bytes.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple
from xml.sax.saxutils import escape

import orjson

from milepost.api.problems import (
    FieldProblem,
    Headers,
    Problem,
    phrase_of,
    problem_of,
    status_problem,
)
from milepost.errors import MilepostError

NO_SUCH_PARCEL = "Parcel does not exist"
DUPLICATE_PARCEL = "Parcel or tracking number already exists"
_OF_INTEGRATION = re.compile(r"/api/(v2|v3)/integrations/[^/]+(?:/logs)?/?")
_NO_INTEGRATION = {
    "v2": "No Integration matches the given query.",
    "v3": "The Integration could not be found with the search criteria given",
}


class Family(Enum):
    """The published APIs, as far as their errors look different."""

    V3_TRACKING = "v3 tracking"
    V3 = "v3"
    EVENT_SUBSCRIPTIONS = "v3 event subscriptions"
    V2 = "v2"
    V2_TRACKING = "v2 tracking"
    OAUTH = "oauth"
    MILEPOST = "milepost"


class Rendered(NamedTuple):
    """A whole answer: status, headers (names in lower case, ready for ASGI) and body."""

    status: int
    headers: Headers
    body: bytes


def family_of(path: str) -> Family:
    """The API a decoded path (``scope["path"]``) belongs to; unknown paths are our own."""
    segments = path.strip("/").split("/")
    match segments:
        case ["api", "v3", "parcels", "tracking", *_]:
            return Family.V3_TRACKING
        case ["api", "v3", "event-subscriptions", *_]:
            return Family.EVENT_SUBSCRIPTIONS
        case ["api", "v3", *_]:
            return Family.V3
        case ["api", "v2", "tracking", _, *_]:
            return Family.V2_TRACKING
        case ["api", "v2", *_]:
            return Family.V2
        case ["oauth2", *_]:
            return Family.OAUTH
        case _:
            return Family.MILEPOST


def render(
    family: Family,
    error: Problem | MilepostError | int,
    path: str,
    *,
    accept: bytes = b"",
    account_id: int | None = None,
    request_id: str = "",
) -> Rendered:
    """The answer to ``error`` on ``path``; ``accept`` is the request's Accept header.

    ``account_id`` only fills the key of the S3 form of v2 tracking. ``request_id`` goes into
    problem details of a fault of ours: other answers are the same whenever they are asked for.
    """
    problem = _as_problem(error)
    if family in _SAY_400 and _is_input(problem):
        problem = replace(problem, status=HTTPStatus.BAD_REQUEST)
    if problem.status == HTTPStatus.NOT_FOUND and (found := _OF_INTEGRATION.fullmatch(path)):
        problem = replace(problem, detail=_NO_INTEGRATION[found[1]])
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        problem = replace(problem, request_id=request_id)
    content_type, body = _body(family, problem, path, accept, account_id)
    headers = _standing_headers(family, problem)
    if content_type:
        headers = ((b"content-type", content_type), *headers)
    length = (b"content-length", str(len(body)).encode())
    return Rendered(problem.status, (*headers, length), body)


def _as_problem(error: Problem | MilepostError | int) -> Problem:
    if isinstance(error, Problem):
        return error
    return status_problem(error) if isinstance(error, int) else problem_of(error)


def _standing_headers(family: Family, problem: Problem) -> Headers:
    """What goes with a status whatever the form of the body."""
    headers: list[tuple[bytes, bytes]] = list(problem.headers)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Basic realm="api"'))
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    if family is Family.OAUTH:
        headers += [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
    elif problem.status in (401, 403, 429) or problem.status >= 500:
        headers.append((b"cache-control", b"no-store"))
    return tuple(headers)


def _body(
    family: Family, problem: Problem, path: str, accept: bytes, account_id: int | None
) -> tuple[bytes, bytes]:
    # Clients parse whatever a 429 carries; the published promise is that it carries nothing.
    if problem.status == HTTPStatus.TOO_MANY_REQUESTS:
        return b"", b""
    missing = problem.status == HTTPStatus.NOT_FOUND
    if family is Family.V2_TRACKING and missing and not _wants_json(accept):
        return b"application/xml", _no_such_key(path, account_id)
    content_type = b"application/problem+json" if family is Family.MILEPOST else b"application/json"
    return content_type, orjson.dumps(_FORMS[family](problem, path))


def _v3_tracking(problem: Problem, path: str) -> object:
    if problem.status in (401, 403) or problem.status >= 500:
        return _v3(problem, path)
    # Two names can be taken; the published text of a conflict says nothing of which.
    if problem.fields and problem.status != HTTPStatus.CONFLICT:
        return {"detail": _wrong_fields(problem)}
    fixed = {404: NO_SUCH_PARCEL, 409: DUPLICATE_PARCEL}.get(problem.status)
    return {"detail": fixed or _clean(problem.detail)}


def _v3(problem: Problem, path: str) -> object:
    """``errors[]``; ``code`` stays within the published enum."""
    status = str(int(problem.status))
    if not problem.fields:
        code = _V3_CODES.get(problem.status, "non_field_errors")
        return {"errors": [{"status": status, "code": code, "detail": _clean(problem.detail)}]}
    return {
        "errors": [
            {
                "status": status,
                "code": _code(one.type),
                "detail": _clean(one.msg),
                "source": _source(one, path),
            }
            for one in problem.fields
        ]
    }


def _is_input(problem: Problem) -> bool:
    """Whether body or query is at fault."""
    given = {one.loc[0] for one in problem.fields}
    wrong = problem.status == HTTPStatus.UNPROCESSABLE_ENTITY
    return wrong and bool(given) and given <= {"body", "query"}


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _code(kind: str) -> str:
    if kind in _PUBLISHED_CODES:
        return kind
    return "required" if "missing" in kind else "invalid"


def _source(problem: FieldProblem, path: str) -> dict[str, str]:
    where, rest = problem.loc[0], [str(_clean(part)) for part in problem.loc[1:]]
    if where != "body":
        return {"header" if where == "header" else "parameter": ".".join(rest)}
    top = "/data" if family_of(path) is Family.EVENT_SUBSCRIPTIONS else ""
    # Where malformed JSON breaks off is a number of bytes, not a place in a document.
    below = [] if problem.type == "json_invalid" else map(_escaped, rest)
    return {"pointer": "/".join((top, *below))}


def _v2(problem: Problem, path: str) -> object:
    request = _clean(path.lstrip("/"))
    code, message = problem.status, _clean(problem.detail)
    return {"error": {"code": code, "request": request, "message": message}}


def _oauth(problem: Problem, _path: str) -> object:
    """RFC 6749 section 5.2 and the extra fields of the published schema."""
    known = problem.code if problem.code in _OAUTH_ERRORS else ""
    return {
        "error": known or _OAUTH_BY_STATUS.get(problem.status, "invalid_request"),
        "error_description": _clean(problem.detail),
        "error_hint": "",
        "error_debug": "",
        "status_code": problem.status,
    }


def problem_document(problem: Problem, _path: str = "") -> dict[str, object]:
    """Problem details (RFC 9457) with the stable code and the wrong fields."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": phrase_of(problem.status),
        "status": problem.status,
        "code": problem.code,
        "detail": _clean(problem.detail),
    }
    if problem.request_id:
        document["request_id"] = problem.request_id
    if problem.fields:
        document["errors"] = _wrong_fields(problem)
    return document


def _wrong_fields(problem: Problem) -> list[dict[str, object]]:
    return [
        {"loc": [_clean(part) for part in one.loc], "msg": _clean(one.msg), "type": one.type}
        for one in problem.fields
    ]


_FORMS: dict[Family, Callable[[Problem, str], object]] = {
    Family.V3_TRACKING: _v3_tracking,
    Family.V3: _v3,
    Family.EVENT_SUBSCRIPTIONS: _v3,
    Family.V2: _v2,
    Family.V2_TRACKING: _v2,
    Family.OAUTH: _oauth,
    Family.MILEPOST: problem_document,
}
_SAY_400 = frozenset({Family.EVENT_SUBSCRIPTIONS, Family.V3, Family.V2})
"""Whose published status for wrong input is 400, not 422."""
_V3_CODES = {
    400: "invalid",
    401: "authentication_failed",
    403: "forbidden",
    404: "not_found",
    409: "invalid",
    422: "validation_error",
}
_PUBLISHED_CODES = {
    "unknown_field",
    "invalid",
    "invalid_choice",
    "min_value",
    "null",
    "not_found",
    "required",
    "not_a_list",
    "non_field_errors",
}
_OAUTH_ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
}
_OAUTH_BY_STATUS = {401: "invalid_client", 500: "server_error", 503: "temporarily_unavailable"}


def _clean(text: str | int) -> str | int:
    """Text that any JSON writer takes: a lone surrogate in a path would make ours raise."""
    if isinstance(text, int):
        return text
    return text.encode("utf-8", "replace").decode()


def _wants_json(accept: bytes) -> bool:
    """Whether the client takes JSON and says nothing of XML; ``*/*`` gets the documented form."""
    accepted = {part.split(b";")[0].strip().lower() for part in accept.split(b",")}
    return any(b"json" in part for part in accepted) and not any(b"xml" in p for p in accepted)


def _no_such_key(path: str, account_id: int | None) -> bytes:
    """The S3 answer for a missing object, which is what the published v2 tracking sends."""
    number = path.rstrip("/").partition("/tracking/")[2]
    printable = "".join(c for c in str(_clean(number)) if c.isprintable())
    key = f"v2/{account_id or 0}/{printable}.json"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>"
        f"<Key>{escape(key)}</Key><RequestId></RequestId><HostId></HostId></Error>"
    ).encode()
