"""The one way in: who calls, and whether the budget allows it, before any body is read."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from fastapi import Request

from milepost.accounts.budget import Budgets, Kind, Spent
from milepost.accounts.credentials import WRONG_CREDENTIALS
from milepost.accounts.gatekeeper import Caller, Gatekeeper
from milepost.api.problems import Headers
from milepost.errors import NotAuthenticated

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMITTED = "milepost.admitted"
_FIELDS = "milepost.fields"
RECOGNISE = "/api/milepost/v1/recognise"
"""A question that takes a body: it writes nothing, so it is a read."""
_PUSH = re.compile(r"/api/milepost/v1/carriers/[^/]{1,64}/push/[^/]{1,255}")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Admitted(NamedTuple):
    """A caller whose request was counted, and the headers that tell it about its budget."""

    caller: Caller
    headers: Headers


class Door:
    """Lets callers in: the gatekeeper says who, the budgets say whether."""

    def __init__(self, gatekeeper: Gatekeeper, budgets: Budgets) -> None:
        """Both shared by every door of the process."""
        self._gatekeeper = gatekeeper
        self._budgets = budgets

    def known(self, scope: Scope) -> Admitted | None:
        """Let in who was known a moment ago, from budget that is leased: without any waiting.

        None where somebody has to be asked; ``admit`` does that.
        """
        caller = self._gatekeeper.known(_authorization(scope))
        spent = None if caller is None else self._budgets.spend_leased(caller, _kind(scope))
        if caller is None or spent is None:
            return None
        return Admitted(caller, rate_headers(spent))

    async def admit(self, scope: Scope) -> Admitted:
        """The caller of a request, one unit of its budget spent.

        Raises NotAuthenticated, NotAllowed, TooManyRequests or DatabaseUnavailable.
        """
        caller = await self._gatekeeper.from_header(_authorization(scope))
        return Admitted(caller, rate_headers(await self._budgets.spend(caller, _kind(scope))))


def is_push(path: str) -> bool:
    """Whether a path is an address that a carrier pushes to, which says itself who may."""
    return "/push/" in path and _PUSH.fullmatch(path) is not None


def current_caller(request: Request) -> Caller:
    """The caller that the guard admitted; also a FastAPI dependency."""
    admitted: Admitted = request.scope[ADMITTED]
    return admitted.caller


def rate_headers(spent: Spent) -> Headers:
    """RateLimit headers of an answer; none where the account has no such limit."""
    if not spent.limit:
        return ()
    return (
        (b"ratelimit-limit", b"%d" % spent.limit),
        (b"ratelimit-remaining", b"%d" % spent.remaining),
        (b"ratelimit-reset", b"%d" % spent.reset_seconds),
    )


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that (lower-case) name."""
    return _fields(scope).get(name)


def _fields(scope: Scope) -> dict[bytes, bytes]:
    """The first header of each name, put together once a request."""
    fields: dict[bytes, bytes] | None = scope.get(_FIELDS)
    if fields is None:
        fields = scope[_FIELDS] = dict(reversed(scope["headers"]))
    return fields


def _kind(scope: Scope) -> Kind:
    asks = scope["method"] in _READING or scope["path"] == RECOGNISE
    return "read" if asks else "write"


def _authorization(scope: Scope) -> bytes | None:
    """The one Authorization header; two would let two readers disagree on who calls."""
    fields, headers = _fields(scope), scope["headers"]
    if len(fields) < len(headers) and sum(name == b"authorization" for name, _ in headers) > 1:
        raise NotAuthenticated(WRONG_CREDENTIALS)
    return fields.get(b"authorization")
