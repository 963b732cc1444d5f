"""The outermost door: what every request has to pass, before and behind every endpoint.

In this order: bounds of address and headers (414, 431, 400), who is calling and their budget (401,
403, 429, 503; everything below /api), the body when an endpoint asks for it (408, 413, 415, 422),
the deadline (503), and a last net for faults of ours (500). Every refusal has the published form.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from time import perf_counter
from urllib.parse import unquote_to_bytes

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from milepost import observe
from milepost.api.authentication import (
    ADMITTED,
    Admitted,
    App,
    Door,
    Message,
    Receive,
    Scope,
    Send,
    header,
    is_push,
)
from milepost.api.bodies import STREAMED, Body, Refused
from milepost.api.deadlines import Deadlines
from milepost.api.error_bodies import Rendered, family_of, render
from milepost.api.problems import FieldProblem, Problem, invalid, status_problem
from milepost.db import patience
from milepost.errors import DatabaseUnavailable, MilepostError
from milepost.settings import Settings

log = structlog.get_logger(__name__)

Ended = Callable[[Scope, int, float], None]
"""Told of every request at its end: its scope, its status and its seconds."""
Quick = Callable[[Scope], Awaitable[Rendered] | None]
"""Answers what is asked most, without the layers behind it; None: it is something else."""


def refusal(scope: Scope, error: Exception | Problem | int) -> Rendered:
    """What to answer to an error, in the form that belongs to the path."""
    admitted: Admitted | None = scope.get(ADMITTED)
    return render(
        family_of(scope["path"]),
        _rendered_as(error),
        scope["path"],
        accept=header(scope, b"accept") or b"",
        account_id=admitted.caller.account_id if admitted else None,
        request_id=observe.request_id.get().decode(),
    )


def _rendered_as(error: Exception | Problem | int) -> Problem | MilepostError | int:
    match error:
        case Problem() | MilepostError() | int():
            return error
        case Refused():
            return error.problem
        case RequestValidationError():
            found = error.errors()
            return invalid(*(FieldProblem(tuple(e["loc"]), e["msg"], e["type"]) for e in found))
        case HTTPException():
            named = (error.headers or {}).items()
            headers = tuple((name.lower().encode(), value.encode()) for name, value in named)
            return status_problem(error.status_code, headers=headers)
        case _:
            return 500


class Reply:
    """Stands in for ASGI's ``send``: adds what every answer carries.

    ``status`` is that of the answer, 0 until one began.
    """

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self.headers: list[tuple[bytes, bytes]] = [
            (b"x-request-id", request_id),
            (b"x-content-type-options", b"nosniff"),
        ]
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self.headers]
        await self._send(message)

    async def give(self, answer: Rendered) -> None:
        """Send a whole answer."""
        self.status, headers, body = answer
        headers = (*headers, *self.headers)
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


class Guard:
    """Wraps the whole API."""

    def __init__(
        self,
        app: App,
        door: Door,
        settings: Settings,
        ended: Ended | None = None,
        quick: Quick = lambda _: None,
    ) -> None:
        """``ended`` hears of every request, ``quick`` is asked before ``app``."""
        self._app = app
        self._quick = quick
        self._ended = ended
        self._door = door
        self._settings = settings
        self._deadlines = Deadlines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        started = perf_counter()
        request_id = _request_id(scope)
        token = observe.request_id.set(request_id)
        reply = Reply(send, request_id)
        try:
            await self._let_through(scope, receive, reply)
        except Exception as error:
            if not isinstance(error, MilepostError | HTTPException):
                log.error("request failed", exc_info=error)
            if not reply.status:
                await reply.give(refusal(scope, error))
            _let_go(error)
        finally:
            if self._ended is not None:
                self._ended(scope, reply.status, perf_counter() - started)
            observe.request_id.reset(token)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._app(scope, receive, send)

    async def _let_through(self, scope: Scope, receive: Receive, reply: Reply) -> None:
        _read_path(scope)
        _check_bounds(scope, self._settings)
        deadline = self._deadlines.start(self._settings.request_seconds)
        patience.of_request.set(deadline)
        try:
            if scope["path"].startswith("/api/") and not is_push(scope["path"]):
                admitted = self._door.known(scope) or await self._door.admit(scope)
                scope[ADMITTED] = admitted
                reply.headers.extend(admitted.headers)
            if scope["path"] in STREAMED:
                # It asks for as long as its body comes: each question has a time of its own.
                deadline.take(self._settings.batch_seconds)
            answer = self._quick(scope)
            if answer is None:
                await self._app(scope, Body(scope, receive, self._settings, deadline), reply)
            else:
                await reply.give(await answer)
        except asyncio.CancelledError as late:
            if deadline.struck():
                raise DatabaseUnavailable("the request took too long") from late
            raise
        finally:
            self._deadlines.close(deadline)


def _let_go(error: BaseException | None) -> None:
    """Free what a refusal's traceback holds: its frames hold the future that was waited for, which
    holds the error again. The garbage collector stopped everybody for 40 ms to clear away those of
    one account's flood, every few seconds.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def _read_path(scope: Scope) -> None:
    """Decode the path ourselves: servers replace what is not UTF-8, and number and NUL matter.

    One trailing slash does not count, as half of all clients send one.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    if len(raw) > 1 and raw.endswith(b"/"):
        raw = raw[:-1]
    scope["raw_path"] = raw
    scope["path"] = unquote_to_bytes(raw).decode("utf-8", "surrogateescape")


def _check_bounds(scope: Scope, settings: Settings) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) + 1 > settings.max_url_bytes:
        raise Refused(status_problem(414))
    headers = scope["headers"]
    size = 4 * len(headers)
    for name, value in headers:
        size += len(name) + len(value)
    if size > settings.max_header_bytes or len(headers) > settings.max_header_fields:
        raise Refused(status_problem(431))
    if header(scope, b"content-length") is None:
        return
    lengths = {value for name, value in headers if name == b"content-length"}
    framed_twice = header(scope, b"transfer-encoding") is not None
    # Two ideas of where a body ends are how one request hides in another.
    if len(lengths) > 1 or framed_twice or not all(map(_is_length, lengths)):
        raise Refused(status_problem(400, headers=((b"connection", b"close"),)))


def _is_length(value: bytes) -> bool:
    return value.isdigit() and len(value) < 20


_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def _request_id(scope: Scope) -> bytes:
    """The client's own id where it is harmless, else a new one."""
    given = header(scope, b"x-request-id")
    if given is not None and _ID.fullmatch(given):
        return given
    # Told apart, not guarded: the system's own randomness is a call to it for each request.
    return b"%016x" % random.getrandbits(64)
