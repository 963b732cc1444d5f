"""Reading an account's feed: all that was told within retention, in one order and without a gap.

A cursor names a place in this order by the number that fan-out gave. Numbers are given under one
lock, so what a reader has not seen lies always behind its cursor. An id of the outbox or of a
message would not do: rows are numbered before they are committed, and one that commits late would
lie before a cursor that has passed it.
"""

import struct
from dataclasses import dataclass, replace
from typing import Any

from milepost.db.pool import Pool, all_rows
from milepost.notifications.feed_watch import FeedWatch
from milepost.notifications.forms import Told
from milepost.notifications.statements import FEED
from milepost.parcels.cursor import packed_cursor, unpacked_cursor
from milepost.tracking.parcel import told_event_id
from milepost.wire.feed_event import FeedType, erased_data, feed_event
from milepost.wire.v3_event import data_of

LATEST = "latest"
"""Instead of a cursor: from now on."""
OLDEST = ""
"""Instead of a cursor: everything that is kept."""
MOST = 500
"""Items of one page."""
_SEQ = struct.Struct(">q")
_TYPES = {Told.EVENT: FeedType.CREATED, Told.WITHDRAWN: FeedType.WITHDRAWN}


class NoPlaceInFeed(ValueError):
    """The cursor is no cursor of this feed, or beyond what it has told."""


class Forgotten(NoPlaceInFeed):
    """What came behind the cursor is forgotten in part; ``oldest`` is where the rest begins."""

    def __init__(self, oldest: str) -> None:
        super().__init__("forgotten")
        self.oldest = oldest


@dataclass(frozen=True, slots=True)
class Item:
    """One of the feed: as JSON, and what a line of Server-Sent Events needs besides."""

    cursor: str
    feed_type: FeedType
    document: bytes


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Items in order. ``seq`` and ``cursor`` are the place behind the last, ``more`` says whether
    there was something beyond it."""

    items: tuple[Item, ...]
    seq: int
    cursor: str
    more: bool

    def behind(self) -> "FeedPage":
        """Its place without its items."""
        return replace(self, items=())


class Feed:
    """The feeds of all accounts, for one process; ``watch`` says when one goes on."""

    def __init__(self, pool: Pool, watch: FeedWatch | None = None) -> None:
        """``pool`` acts as milepost_app."""
        self._pool = pool
        self.watch = watch or FeedWatch(pool)

    async def read(self, account_id: int, after: str, most: int) -> FeedPage:
        """At most ``most`` items behind a cursor; ``OLDEST`` and ``LATEST`` stand for one.

        Raises NoPlaceInFeed, Forgotten and DatabaseUnavailable.
        """
        if after == LATEST:
            return await self._page(account_id, None, 0)
        if after == OLDEST:
            return await self._page(account_id, None, most)
        seq = _seq_of(account_id, after)
        if seq is None:
            raise NoPlaceInFeed("no cursor of this feed")
        return await self._page(account_id, seq, most)

    async def _page(self, account_id: int, after: int | None, most: int) -> FeedPage:
        rows = await all_rows(
            lambda: FEED.read_feed(self._pool, account_id=account_id, after=after or 0, most=most)
        )
        head, kept_from = (rows[0]["head"], rows[0]["kept_from"]) if rows else (0, 1)
        if after is not None and after + 1 < kept_from:
            raise Forgotten(_cursor_of(account_id, kept_from - 1))
        if after is not None and after > head:
            raise NoPlaceInFeed("beyond what was told")
        items = tuple(_item(account_id, row) for row in rows if row["feed_seq"] is not None)
        if items:
            seq = rows[-1]["feed_seq"]
        elif after is not None:
            seq = after
        else:
            seq = head
        return FeedPage(items, seq, _cursor_of(account_id, seq), seq < head)


def _item(account_id: int, row: Any) -> Item:
    cursor = _cursor_of(account_id, row["feed_seq"])
    if row["body"] is None:
        feed_type = FeedType.ERASED
        # The message's own id went with it.
        event_id = f"{told_event_id(row['parcel_id'], row['sequence'])}-erased"
        data = erased_data(row["parcel_id"])
    else:
        feed_type = _TYPES[Told(row["kind"])]
        event_id, data = row["event_id"], data_of(row["body"])
    document = feed_event(cursor, event_id, feed_type, row["sequence"], row["recorded_at"], data)
    return Item(cursor, feed_type, document)


def _bound_to(account_id: int) -> bytes:
    return b"feed %d" % account_id


def _cursor_of(account_id: int, seq: int) -> str:
    return packed_cursor(_SEQ.pack(seq), _bound_to(account_id))


def _seq_of(account_id: int, cursor: str) -> int | None:
    packed = unpacked_cursor(cursor, _bound_to(account_id))
    if packed is None or len(packed) != _SEQ.size:
        return None
    seq: int = _SEQ.unpack(packed)[0]
    return seq if seq >= 0 else None
