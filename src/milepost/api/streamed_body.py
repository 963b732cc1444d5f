"""A request body taken piece by piece: bounded in size and time, and never whole in memory."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator

from milepost.api.authentication import Receive, Scope, header
from milepost.api.bodies import Refused
from milepost.api.problems import status_problem
from milepost.errors import InvalidInput
from milepost.settings import Settings

GATHERED = 32 * 1024
"""Smaller pieces are gathered first: what reads them looks at what it holds each time."""
_LET_PASS_SECONDS = 5.0
_CLOSE = ((b"connection", b"close"),)

Unpacker = Callable[[bytes], Iterator[bytes]]


class StreamedBody:
    """The pieces of a body of at most ``most`` bytes, unpacked where it is gzip.

    All of it has to be there at ``ends_at`` (``time.monotonic``): a body may come in drops.
    """

    def __init__(
        self, scope: Scope, receive: Receive, settings: Settings, most: int, ends_at: float
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._patience = settings.body_seconds
        self._most = most
        self._ends_at = ends_at
        self._more = True

    async def pieces(self) -> AsyncIterator[bytes]:
        """Each of at least 32 KiB but for the last.

        Raises Refused (408 when nothing comes for a while, 413, 415, 400) and InvalidInput.
        """
        unpack = self._unpacker()
        size, gathered = 0, bytearray()
        while self._more:
            for piece in unpack(await self._next()):
                size += len(piece)
                if size > self._most:
                    raise Refused(status_problem(413, f"The body is over {self._most} bytes."))
                gathered += piece
                if len(gathered) >= GATHERED:
                    yield bytes(gathered)
                    gathered.clear()
        if gathered:
            yield bytes(gathered)

    async def let_pass(self) -> None:
        """Hear what still comes, keeping nothing: many clients read no answer before they have
        sent everything."""
        try:
            async with asyncio.timeout(_LET_PASS_SECONDS):
                while self._more:
                    await self._next()
        except (TimeoutError, Refused):
            return

    async def _next(self) -> bytes:
        try:
            left = self._ends_at - time.monotonic()
            async with asyncio.timeout(min(self._patience, left)):
                message = await self._receive()
        except TimeoutError as late:
            self._more = False
            raise Refused(status_problem(408, headers=_CLOSE)) from late
        if message["type"] != "http.request":
            self._more = False
            raise Refused(status_problem(400, "The body breaks off.", _CLOSE))
        self._more = message.get("more_body", False)
        sent: bytes = message.get("body", b"")
        return sent

    def _unpacker(self) -> Unpacker:
        packing = (header(self._scope, b"content-encoding") or b"identity").strip().lower()
        if packing == b"identity":
            return lambda sent: iter((sent,))
        if packing not in (b"gzip", b"x-gzip"):
            accepted = ((b"accept-encoding", b"gzip, identity"),)
            raise Refused(status_problem(415, "Content-Encoding must be gzip.", accepted))
        stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

        def unpack(sent: bytes) -> Iterator[bytes]:
            try:
                while sent:
                    # A little packed may be very much unpacked: never more than a piece at once.
                    yield stream.decompress(sent, GATHERED)
                    sent = stream.unconsumed_tail
            except zlib.error as broken:
                raise InvalidInput("Body is not gzip", ("body",), "json_invalid") from broken
            if stream.unused_data or not (self._more or stream.eof):
                why = "Body is not one whole gzip stream"
                raise InvalidInput(why, ("body",), "json_invalid")

        return unpack
