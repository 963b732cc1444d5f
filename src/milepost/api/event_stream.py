"""The event feed as Server-Sent Events: an answer that lasts as long as its reader listens."""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

import structlog
from starlette.responses import Response

from milepost.api.authentication import Receive, Scope, Send
from milepost.api.deadlines import deadline_of_request
from milepost.api.event_readers import Readers, first_of, leaving
from milepost.errors import DatabaseUnavailable, NotAllowed, NotAuthenticated
from milepost.notifications.feed import Feed, FeedPage, NoPlaceInFeed
from milepost.wire.feed_event import server_sent

MEDIA_TYPE = "text/event-stream"
AT_ONCE = 50
"""Items that are sent together: what a reader that takes nothing costs in memory."""
BEAT_SECONDS = 5.0
"""A quiet stream says so often that it is there, and looks whether its reader may still listen."""
STALLED_SECONDS = 20.0
"""A reader that takes nothing for so long is dropped."""
RETRY_MILLISECONDS = 2000
_BEAT = b":\n\n"

log = structlog.get_logger(__name__)


class EventStream(Response):
    """A page, and whatever is told behind it from then on.

    ``still_let_in`` raises NotAuthenticated or NotAllowed when the reader's credential has ended;
    what is told then is not sent any more. Before anything is sent the answer may become
    TooManyRequests, or Refused (``Readers``).
    """

    media_type = MEDIA_TYPE

    def __init__(
        self,
        feed: Feed,
        readers: Readers,
        account_id: int,
        page: FeedPage,
        still_let_in: Callable[[], Awaitable[object]],
    ) -> None:
        self.status_code = 200
        self.background = None
        # Proxies hold back what they take for a page.
        self.init_headers({"cache-control": "private, no-store", "x-accel-buffering": "no"})
        self._feed = feed
        self._readers = readers
        self._account_id = account_id
        self._page = page
        self._still_let_in = still_let_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        with self._readers.one_more(self._account_id):
            deadline = deadline_of_request()
            if deadline is not None:
                deadline.take(math.inf)
            async with leaving(receive) as gone:
                reader = _Reader(send, gone)
                await reader.begin(self.raw_headers)
                with contextlib.suppress(NotAuthenticated, NotAllowed, NoPlaceInFeed):
                    await self._tell(reader, self._page)
                await reader.end()

    async def _tell(self, reader: "_Reader", page: FeedPage) -> None:
        """What is there, page by page; then wait for more, saying now and then that we do."""
        await reader.say(_opening(page))
        while reader.listens and not self._feed.watch.closed:
            try:
                if page.items:
                    await self._still_let_in()
                    await reader.say(_lines(page))
                    page = page.behind()
                elif page.more or await self._goes_on(reader, page):
                    page = await self._read(page.cursor)
                else:
                    await self._still_let_in()
                    await reader.say(_BEAT)
            except DatabaseUnavailable:
                await reader.pause(BEAT_SECONDS)
                await reader.say(_BEAT)

    async def _read(self, after: str) -> FeedPage:
        async with self._readers.turns:
            return await self._feed.read(self._account_id, after, AT_ONCE)

    async def _goes_on(self, reader: "_Reader", page: FeedPage) -> bool:
        """Whether something is told behind a page within a beat."""
        with self._feed.watch.beyond(self._account_id, page.seq) as news:
            await reader.pause(BEAT_SECONDS, news)
            return news.done() and news.result()


class _Reader:
    """The other end of a stream."""

    def __init__(self, send: Send, gone: "asyncio.Task[None]") -> None:
        self._send = send
        self._gone = gone
        self._stalled = False

    @property
    def listens(self) -> bool:
        """Whether it is there and takes what it is sent."""
        return not self._stalled and not self._gone.done()

    async def begin(self, headers: list[tuple[bytes, bytes]]) -> None:
        """The head of the answer."""
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def say(self, lines: bytes) -> None:
        """Send; returns when the server has taken it, or the reader is given up."""
        if not self.listens:
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._send({"type": "http.response.body", "body": lines, "more_body": True})
        except TimeoutError:
            self._stalled = True
            log.info("a reader of events took nothing for too long")

    async def pause(self, seconds: float, *news: "asyncio.Future[bool]") -> None:
        """Wait so long, at most until it hangs up or one of ``news`` is there."""
        await first_of(seconds, self._gone, *news)

    async def end(self) -> None:
        """No more will come."""
        if self.listens:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _opening(page: FeedPage) -> bytes:
    """A reader that is cut off before the first item comes back to where it began."""
    if page.items:
        return b"retry: %d\n\n" % RETRY_MILLISECONDS
    return b"retry: %d\nid: %b\n\n" % (RETRY_MILLISECONDS, page.cursor.encode())


def _lines(page: FeedPage) -> bytes:
    return b"".join(server_sent(one.cursor, one.feed_type, one.document) for one in page.items)
