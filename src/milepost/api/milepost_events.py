"""``GET /api/milepost/v1/events``: the event feed, page by page, waited for, or as a stream."""

import re
from collections.abc import Awaitable
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request, Response

from milepost.api.authentication import current_caller, header
from milepost.api.bodies import Refused
from milepost.api.deadlines import deadline_of_request
from milepost.api.event_readers import Readers, first_of, leaving
from milepost.api.event_stream import AT_ONCE, MEDIA_TYPE, EventStream
from milepost.api.problems import Problem
from milepost.api.query_string import parameters
from milepost.db import patience
from milepost.db.patience import ANSWER_SECONDS
from milepost.errors import InvalidInput
from milepost.notifications.feed import (
    LATEST,
    MOST,
    OLDEST,
    Feed,
    FeedPage,
    Forgotten,
    NoPlaceInFeed,
)
from milepost.wiring import ApiParts

PATH = "/api/milepost/v1/events"
CURSOR = "[A-Za-z0-9_-]{22}"
PAGE_SIZE = 100
LONGEST_WAIT = 30
router = APIRouter()
_PLACE = re.compile(f"{CURSOR}|{LATEST}")
_NUMBER = re.compile(r"[0-9]{1,3}")
LAST_ID = "last-event-id"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants: what lies behind ``after``, waiting ``wait`` seconds for it if need be.

    ``said`` is where ``after`` was said, as problems name it.
    """

    after: str = OLDEST
    limit: int = PAGE_SIZE
    wait: int = 0
    said: tuple[str, str] = ("query", "after")


@router.get(PATH, include_in_schema=False)
async def events(request: Request) -> Response:
    """What was told behind a cursor."""
    asked = _read(request)
    parts: ApiParts = request.app.state.parts
    readers: Readers = request.app.state.readers
    account_id = current_caller(request).account_id

    def still_let_in() -> Awaitable[object]:
        return parts.gatekeeper.from_header(header(request.scope, b"authorization"))

    streamed = _wants_stream(request)
    page = await _page(parts.feed, account_id, asked, AT_ONCE if streamed else asked.limit)
    if streamed:
        return EventStream(parts.feed, readers, account_id, page, still_let_in)
    if asked.wait and not page.items:
        with readers.one_more(account_id):
            await _wait(request, parts, account_id, page.seq, asked.wait)
        await still_let_in()
        page = await _page(parts.feed, account_id, replace(asked, after=page.cursor), asked.limit)
    headers = {"cache-control": "private, no-store"}
    return Response(_document(page), media_type="application/json", headers=headers)


async def _wait(request: Request, parts: ApiParts, account_id: int, seq: int, seconds: int) -> None:
    """Until the feed goes on, the time is over, the client hangs up, or the server is to stop."""
    deadline = deadline_of_request()
    if deadline is not None:
        deadline.move(seconds + parts.core.settings.request_seconds)
    async with leaving(request.receive) as gone:
        with parts.feed.watch.beyond(account_id, seq) as news:
            await first_of(seconds, gone, news)
    patience.allow(ANSWER_SECONDS)


async def _page(feed: Feed, account_id: int, asked: Asked, most: int) -> FeedPage:
    try:
        return await feed.read(account_id, asked.after, most)
    except Forgotten as gone:
        raise Refused(_forgotten(gone.oldest)) from gone
    except NoPlaceInFeed as wrong:
        raise InvalidInput(f"Not a place in this feed: {wrong}", asked.said, "cursor") from wrong


def _forgotten(oldest: str) -> Problem:
    return Problem(
        410,
        "cursor_forgotten",
        "What came next is kept no longer. Everything recorded within retention is behind "
        f"after={oldest}",
        headers=((b"link", f'<{PATH}?after={oldest}>; rel="first"'.encode()),),
    )


def _document(page: FeedPage) -> bytes:
    return b'{"data":[%b],"next_cursor":"%b","has_more":%b}' % (
        b",".join(one.document for one in page.items),
        page.cursor.encode(),
        b"true" if page.more else b"false",
    )


def _wants_stream(request: Request) -> bool:
    accepted = header(request.scope, b"accept") or b""
    kinds = {one.split(b";")[0].strip().lower() for one in accepted.split(b",")}
    return MEDIA_TYPE.encode() in kinds


def _read(request: Request) -> Asked:
    """What a request asks for. Raises InvalidInput."""
    asked, seen = Asked(), set()
    for name, value in parameters(request.scope):
        if name in seen:
            raise InvalidInput("Given twice", ("query", name), "twice")
        seen.add(name)
        match name:
            case "after":
                asked = replace(asked, after=_place(value, asked.said))
            case "limit":
                asked = replace(asked, limit=_number(name, value, 1, MOST))
            case "wait":
                asked = replace(asked, wait=_number(name, value, 0, LONGEST_WAIT))
            case _:
                why = "Unknown parameter; there are after, limit, wait"
                raise InvalidInput(why, ("query", name), "unknown")
    # A stream that was cut off is asked for by the same address, and goes on where it was.
    last = header(request.scope, LAST_ID.encode())
    if last:
        said = ("header", LAST_ID)
        asked = replace(asked, after=_place(last.decode("latin-1"), said), said=said)
    return asked


def _place(value: str, said: tuple[str, str]) -> str:
    if not _PLACE.fullmatch(value):
        raise InvalidInput(f"A cursor of this feed, or {LATEST}", said, "cursor_format")
    return value


def _number(name: str, value: str, least: int, most: int) -> int:
    if not _NUMBER.fullmatch(value) or not least <= int(value) <= most:
        raise InvalidInput(f"Must be from {least} to {most}", ("query", name), "range")
    return int(value)
