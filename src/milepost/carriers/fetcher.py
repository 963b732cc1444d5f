"""The polite way to a carrier: one deadline, one size, few connections, no redirects."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from hashlib import sha256
from types import TracebackType
from typing import Any

import aiohttp
from yarl import URL

from milepost.carriers.asked import Asked
from milepost.carriers.exchange import Answer, Request, Slot
from milepost.errors import CarrierUnreachable

USER_AGENT = "Milepost/1 (parcel tracking)"
PER_HOST = 8
"""Questions to one host at a time."""
REMEMBERED_BYTES = 16 * 1024 * 1024
ENTRY_BYTES = 2048
"""What a remembered answer takes beside its own bytes, about."""
_CHUNK = 64 * 1024
_MANNERS = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
_asked: ContextVar[Asked] = ContextVar("asked")


class Fetcher:
    """Asks carriers over HTTP; one per process, closed at its end (``async with``).

    Seconds bound the whole exchange, the body included; bytes bound the body. ``routes`` leads a
    documented host elsewhere (``{"api-eu.dhl.com": "http://127.0.0.1:9000"}``): to a gateway, a
    simulator or a test server.
    """

    def __init__(
        self,
        *,
        total_seconds: float = 20,
        connect_seconds: float = 5,
        max_bytes: int = 1024 * 1024,
        per_host: int = PER_HOST,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        self._total_seconds = total_seconds
        self._connect_seconds = connect_seconds
        self._max_bytes = max_bytes
        self._per_host = per_host
        self._routes = dict(routes or {})
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._memory = _Memory(REMEMBERED_BYTES)
        self._session: aiohttp.ClientSession | None = None

    def set_routes(self, routes: Mapping[str, str]) -> None:
        """Replace the routes; the next question goes by the new ones."""
        self._routes = dict(routes)

    async def fetch(self, request: Request, slot: Slot | None = None) -> Answer:
        """The carrier's answer, whatever its status. Raises CarrierUnreachable when none came.

        It is sent when ``slot`` starts, which may raise too: with the connection in hand, so that
        looking up and shaking hands make nothing late. What failed is named with the documented
        host and never with the query, which may hold a key or a postal code.
        """
        host = _split(request.url)[0]
        turn = self._turns.get(host)
        if turn is None:
            turn = self._turns[host] = asyncio.Semaphore(self._per_host)
        if slot is not None:
            await slot.near()
        asked = Asked(host, slot)
        _asked.set(asked)
        try:
            async with turn, asyncio.timeout(self._total_seconds):
                return await self._remembering(request, asked)
        except TimeoutError as error:
            raise CarrierUnreachable(
                f"{host} did not answer within {self._total_seconds:g} s"
            ) from error
        except _Unusable as error:
            raise CarrierUnreachable(f"{host}: {error}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise CarrierUnreachable(f"{host}: {type(error).__name__}") from error

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> "Fetcher":
        """Itself; connections open when they are needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def _remembering(self, request: Request, asked: Asked) -> Answer:
        if not request.remember or request.method != "GET":
            return await self._exchange(request, asked)
        key = _memory_key(request)
        known = self._memory.recall(key)
        if known is not None:
            tag = {"If-None-Match": known.headers["etag"]}
            request = replace(request, headers={**request.headers, **tag})
        answer = await self._exchange(request, asked)
        if known is not None and answer.status == 304:
            return known
        self._memory.keep(key, answer)
        return answer

    async def _exchange(self, request: Request, asked: Asked) -> Answer:
        try:
            response = await self._open().request(
                request.method,
                self._target(request),
                headers={**_MANNERS, **request.headers},
                data=request.body or None,
                allow_redirects=False,
            )
        except BaseException as failure:
            asked.failed(failure)
            raise
        asked.answered(response.status)
        async with response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            if headers.get("content-encoding", "identity").lower() != "identity":
                # We asked for identity; unpacking would need a cap of its own.
                raise _Unusable("the answer is compressed, which was not asked for")
            return Answer(response.status, headers, await self._read(response))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        stated = response.content_length
        if stated is not None and stated <= self._max_bytes and response.content.is_eof():
            # It came whole with its head, as short answers do.
            return await response.read()
        if (stated or 0) > self._max_bytes:
            raise _Unusable(f"the answer is longer than {self._max_bytes} bytes")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise _Unusable(f"the answer is longer than {self._max_bytes} bytes")
        return bytes(body)

    def _target(self, request: Request) -> URL:
        host, rest = _split(request.url)
        base = self._routes.get(host)
        url = request.url if base is None else base.rstrip("/") + rest
        return URL(url).extend_query(request.query) if request.query else URL(url)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_PatientConnector(limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_seconds),
                trust_env=False,
                auto_decompress=False,
            )
        return self._session


@dataclass(frozen=True, slots=True)
class Line:
    """The way to one carrier with one credential: what connectors ask with (``exchange.Asks``)."""

    fetcher: Fetcher
    slot: Callable[[], Slot]
    """Gives a new slot for each request; nobody else can ask, so no request goes without."""

    async def fetch(self, request: Request) -> Answer:
        """See ``Asks.fetch``."""
        return await self.fetcher.fetch(request, self.slot())


class _PatientConnector(aiohttp.TCPConnector):
    """Hands a connection out when the request's slot starts."""

    async def connect(self, *told: Any, **more: Any) -> Any:
        connection = await super().connect(*told, **more)
        try:
            await _asked.get().start()
        except BaseException:
            connection.release()  # nothing was sent on it
            raise
        return connection


class _Unusable(Exception):
    """An answer came and can't be used; the text says why."""


class _Memory:
    """The latest answers that came with an ETag, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def recall(self, key: bytes) -> Answer | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def keep(self, key: bytes, answer: Answer) -> None:
        old = self._answers.pop(key, None)
        self._bytes -= _size(old) if old is not None else 0
        if answer.status == 200 and answer.headers.get("etag"):
            self._answers[key] = answer
            self._bytes += _size(answer)
        while self._bytes > self._max_bytes:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= _size(oldest)


_URL = re.compile(r"[a-z]+://(?P<host>[^/?#]*)(?P<rest>.*)", re.DOTALL)


def _split(url: str) -> tuple[str, str]:
    # urlsplit remembers what it has split, which no two of these have in common, and takes ten
    # times as long.
    found = _URL.fullmatch(url)
    return ("", url) if found is None else (found["host"], found["rest"])


def _size(answer: Answer) -> int:
    headers = sum(len(name) + len(value) for name, value in answer.headers.items())
    return ENTRY_BYTES + headers + len(answer.body)


def _memory_key(request: Request) -> bytes:
    # The headers are part of it: another credential may see another answer.
    told = (request.url, request.query, tuple(sorted(request.headers.items())))
    return sha256(repr(told).encode()).digest()
