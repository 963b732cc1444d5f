"""The one way in: who calls, and whether the budget allows it, before any body is read."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from milepost.accounts.budget import Budgets, Kind, Spent
from milepost.accounts.credentials import WRONG_CREDENTIALS
from milepost.accounts.gatekeeper import Caller, Gatekeeper
from milepost.api.error_bodies import family_of, render
from milepost.api.problems import Headers
from milepost.errors import MilepostError, NotAuthenticated

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ADMITTED = "milepost.admitted"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Admitted:
    """A caller whose request was counted, and the headers that tell it about its budget."""

    caller: Caller
    headers: Headers


class Door:
    """Lets callers in: the gatekeeper says who, the budgets say whether."""

    def __init__(self, gatekeeper: Gatekeeper, budgets: Budgets) -> None:
        """Both shared by every door of the process."""
        self._gatekeeper = gatekeeper
        self._budgets = budgets

    async def caller_of(self, headers: Iterable[tuple[bytes, bytes]], method: str) -> Admitted:
        """The caller of a request, one unit of its budget spent.

        Raises NotAuthenticated, NotAllowed, TooManyRequests or DatabaseUnavailable.
        """
        caller = await self._gatekeeper.from_header(_authorization(headers))
        kind: Kind = "read" if method in _READING else "write"
        return Admitted(caller, rate_headers(await self._budgets.spend(caller, kind)))


class RequireCaller:
    """ASGI in front of an app: refuses in the form of the path's API, else notes the caller.

    The app finds the ``Admitted`` in ``scope["milepost.admitted"]``; every answer gets the
    RateLimit headers. ``is_open`` names the paths that need no caller.
    """

    def __init__(self, app: App, door: Door, is_open: Callable[[str], bool]) -> None:
        """``door`` admits; ``app`` is what stands behind it."""
        self._app, self._door, self._is_open = app, door, is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit, then pass on."""
        if scope["type"] != "http" or self._is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            admitted = await self._door.caller_of(scope["headers"], scope["method"])
        except MilepostError as error:
            await refuse(scope, send, error)
            return
        scope[ADMITTED] = admitted
        await self._app(scope, receive, adding(admitted.headers, send))


async def refuse(scope: Scope, send: Send, error: MilepostError) -> None:
    """Answer with ``error`` in the form of the path's API; the body is not read."""
    answer = render(family_of(scope["path"]), error, scope["path"])
    start = {"type": "http.response.start", "status": answer.status}
    await send({**start, "headers": list(answer.headers)})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})


def adding(headers: Headers, send: Send) -> Send:
    """``send``, with ``headers`` added to the answer."""
    if not headers:
        return send

    async def send_with(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with


def current_caller(request: Request) -> Caller:
    """FastAPI dependency: the caller that ``RequireCaller`` admitted."""
    admitted: Admitted = request.scope[ADMITTED]
    return admitted.caller


def rate_headers(spent: Spent) -> Headers:
    """RateLimit headers of an answer; none where the account has no such limit."""
    if not spent.limit:
        return ()
    return (
        (b"ratelimit-limit", str(spent.limit).encode()),
        (b"ratelimit-remaining", str(spent.remaining).encode()),
        (b"ratelimit-reset", str(spent.reset_seconds).encode()),
    )


def _authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The one Authorization header; two would let two readers disagree on who calls."""
    found = [value for name, value in headers if name.lower() == b"authorization"]
    if len(found) > 1:
        raise NotAuthenticated(WRONG_CREDENTIALS)
    return found[0] if found else None
