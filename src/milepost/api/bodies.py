"""Reading a request body: its size, its time, its packing and its JSON are judged before any
endpoint sees it, and only when an endpoint asks for it."""

import asyncio
import math
import time
import zlib
from contextlib import suppress
from typing import Any

from starlette.exceptions import HTTPException

from milepost.api.authentication import Message, Receive, Scope, header, is_push
from milepost.api.deadlines import Deadline
from milepost.api.error_bodies import Family, family_of
from milepost.api.json_input import JsonLimits, read_json
from milepost.api.problems import Problem, problem_of, status_problem
from milepost.errors import InvalidInput
from milepost.notifications.unsubscribing import PATH as UNSUBSCRIBE
from milepost.settings import Settings

STREAMED = frozenset({"/api/milepost/v1/parcels/batch"})
"""Paths whose endpoint reads the body itself, as it comes."""
JSON_KEY = "milepost.json"
"""Where the scope holds the value of a JSON body once it was read."""
_PARSED_ASIDE = 64 * 1024
"""Longer documents are parsed in a thread, so that nobody else waits for them."""
_LET_PASS = 8
"""How many times too large a body may be and still be heard to its end, within these seconds."""
_LET_PASS_SECONDS = 5.0
_CLOSE = ((b"connection", b"close"),)


class Refused(HTTPException):
    """A problem on its way to the client. An HTTPException, as frameworks pass only those on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status, problem.detail)
        self.problem = problem


class Body:
    """Stands in for ASGI's ``receive``: gives the whole judged body at once, then what follows.

    ``deadline`` is that of the request: while the client is sending it is the body's, and it starts
    anew with the last byte. The time for the database stands still meanwhile.
    """

    def __init__(
        self, scope: Scope, receive: Receive, settings: Settings, deadline: Deadline
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._settings = settings
        self._deadline = deadline
        self._given = False

    async def __call__(self) -> Message:
        """The next message."""
        if self._given or self._scope["path"] in STREAMED:
            return await self._receive()
        self._given = True
        # Some clients send a body with GET by accident: it is neither read nor minded.
        if self._scope["method"] in ("GET", "HEAD"):
            return {"type": "http.request", "body": b"", "more_body": False}
        try:
            body = await self._judged()
        except InvalidInput as error:
            raise Refused(problem_of(error)) from error
        return {"type": "http.request", "body": body, "more_body": False}

    async def _judged(self) -> bytes:
        as_json = self._takes_json()
        began = time.monotonic()
        self._deadline.move(self._settings.body_seconds)
        try:
            sent = await self._whole()
        except asyncio.CancelledError as late:
            if self._deadline.struck():
                raise Refused(status_problem(408, headers=_CLOSE)) from late
            raise
        if sent is None:
            self._deadline.move(math.inf)
            await self._let_pass()
            raise Refused(_too_large(self._settings.max_body_bytes))
        self._deadline.move(self._settings.request_seconds)
        self._deadline.answer_by += time.monotonic() - began
        if not sent:
            return sent
        body = self._unpacked(sent)
        if as_json:
            self._scope[JSON_KEY] = await self._parsed(body)
        return body

    def _takes_json(self) -> bool:
        """Whether the body is JSON; 415 where it should be and says that it is not."""
        path = self._scope["path"]
        if family_of(path) is Family.OAUTH or is_push(path) or path.startswith(UNSUBSCRIBE):
            # What a carrier says is judged less strictly than what a client does, and a mail
            # program says it as a form.
            return False
        said = header(self._scope, b"content-type") or b"application/json"
        main, _, subtype = said.split(b";")[0].strip().lower().partition(b"/")
        if main == b"application" and (subtype == b"json" or subtype.endswith(b"+json")):
            return True
        empty = header(self._scope, b"content-length") in (None, b"0")
        if empty and header(self._scope, b"transfer-encoding") is None:
            return False
        raise Refused(status_problem(415, "Content-Type must be application/json."))

    async def _whole(self) -> bytes | None:
        """The body as sent, None when it is too large."""
        most = self._settings.max_body_bytes
        if int(header(self._scope, b"content-length") or 0) > most:
            return None
        pieces: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                # The client left, or its chunks can't be read; then it still hears this.
                raise Refused(status_problem(400, "The body breaks off.", _CLOSE))
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(piece)
            if size > most:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    async def _let_pass(self) -> None:
        """Hear the rest of a body that is too large, keeping nothing, within bounds.

        Many clients read no answer before they have sent everything: hung up on, they would
        report a broken connection and not the 413.
        """
        left = self._settings.max_body_bytes * _LET_PASS
        waits = header(self._scope, b"expect") is not None
        if waits or int(header(self._scope, b"content-length") or 0) > left:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_LET_PASS_SECONDS):
                more = True
                while more and left > 0:
                    message = await self._receive()
                    more = message.get("more_body", False)
                    left -= len(message.get("body", b""))

    def _unpacked(self, sent: bytes) -> bytes:
        packing = (header(self._scope, b"content-encoding") or b"identity").strip().lower()
        if packing == b"identity":
            return sent
        if packing not in (b"gzip", b"x-gzip"):
            accepted = ((b"accept-encoding", b"gzip, identity"),)
            raise Refused(status_problem(415, "Content-Encoding must be gzip.", accepted))
        most = self._settings.max_body_bytes
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            body = unpacker.decompress(sent, most + 1)
        except zlib.error as broken:
            raise InvalidInput("Body is not gzip", ("body",), "json_invalid") from broken
        if len(body) > most:
            raise Refused(_too_large(most))
        if not unpacker.eof or unpacker.unused_data:
            raise InvalidInput("Body is not one whole gzip stream", ("body",), "json_invalid")
        return body

    async def _parsed(self, body: bytes) -> Any:
        limits = limits_of(self._settings)
        if len(body) > _PARSED_ASIDE:
            return await asyncio.to_thread(read_json, body, limits)
        return read_json(body, limits)


def limits_of(settings: Settings) -> JsonLimits:
    """How far a JSON document may go."""
    return JsonLimits(settings.max_json_depth, settings.max_object_keys, settings.max_string_bytes)


def _too_large(most: int) -> Problem:
    return status_problem(413, f"The body is over {most} bytes.")
