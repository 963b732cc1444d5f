"""One lane in hand: what is due there is sent, and what came back is written down."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any

import structlog

from milepost import failpoints
from milepost.db.pool import Pool
from milepost.notifications import schedule
from milepost.notifications.held import Connected, Delivery, Lane, Send, Sent
from milepost.notifications.hold import Came, Hold, Told, deliveries
from milepost.notifications.patience import Health, after
from milepost.notifications.tally import tally
from milepost.notifications.terms import Terms
from milepost.notifications.verdict import Judged, Verdict

AT_ONCE = 4
"""Deliveries under way to one connection: as many as it gets connections."""
READY = 16
"""Deliveries that are fetched together at first."""
MOST_READY = 64
"""As many are ready at most: a subscriber that is quick is given more ahead the more it took."""
BATCH = 16
"""So many that came back are written down together while others are under way."""
LINGER_SECONDS = 0.02
"""What came back waits so long for others: what is not written down is sent again after a crash."""
LOOK_AGAIN_SECONDS = 0.5
"""While some requests take their time, how often more is looked for. So long what is ready may be
sent, too, without asking whether it was erased or given up since, or the lane was shut."""
HOLD_SECONDS = 5.0
"""After so long a lane is left, that others have their turn."""

log = structlog.get_logger(__name__)


class Turn:
    """One lane in hand: what is ready, under way, and not written down yet.

    ``owes``: something was sent of which nothing could be written, so that it will be sent again.
    The lane is not let go then, for it would be at once; its lease ends.
    """

    def __init__(
        self,
        pool: Pool,
        lane: Lane,
        rows: Sequence[Any],
        terms: Terms,
        clock: Callable[[], datetime],
    ) -> None:
        """``rows``: the lane, and what was due there when it was taken."""
        taken, *due = rows
        self._hold = Hold(pool, lane, taken, terms.lease)
        self._terms = terms
        self._clock = clock
        self._health = Health(taken["failures"], taken["failing_since"])
        self._held = True
        self._is_left = False
        self._ready = deque(deliveries(due))
        self._under_way: dict[int, Delivery] = {}
        self._until = monotonic() + HOLD_SECONDS
        self._known_at = monotonic()
        self._came: list[tuple[Delivery, Sent]] = []
        self._came_at = 0.0
        self._made = 0
        self._senders: set[asyncio.Task[None]] = set()
        self._noting: asyncio.Task[None] | None = None
        self._dry = len(due) < READY
        self._news = asyncio.Event()
        self.owes = False
        self.connected = Connected.of(lane, taken)

    async def take(self, send: Send, stop: asyncio.Event) -> int:
        """Send what is due; what came back is written down, and more is fetched, meanwhile.

        One statement at a time: what comes back while it is under way goes with the next one. What
        is under way at the end is waited for: it may have been taken, and would be sent again.
        """
        try:
            while not self._is_left:
                self._news.clear()
                ending = self._is_ending(stop)
                self._start(send, stop, ending)
                self._note(ending)
                if self._noting is None and not self._senders and not self._came:
                    break
                await self._hear(ending)
        finally:
            self.owes = self.owes or bool(self._under_way or self._came)
            left = [*self._senders, *([self._noting] if self._noting else [])]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return self._made

    def _start(self, send: Send, stop: asyncio.Event, ending: bool) -> None:
        if ending:
            self._ready.clear()
        # One that is sent alone is written down before the next.
        waits = self._waits or (self._room == 1 and (self._came or self._noting))
        most = 0 if waits else self._room - len(self._senders)
        for _ in range(min(len(self._ready), most)):
            sender = asyncio.create_task(self._send(send, stop))
            self._senders.add(sender)
            sender.add_done_callback(lambda _: self._news.set())

    async def _send(self, send: Send, stop: asyncio.Event) -> None:
        """One of those side by side: sends what is ready until nothing is, or no more may be."""
        while self._ready and not self._waits and not self._is_ending(stop):
            delivery = self._ready.popleft()
            self._under_way[delivery.delivery_id] = delivery
            sent = await send(delivery)
            del self._under_way[delivery.delivery_id]
            self._learn(delivery, sent)
            if self._room == 1:
                return

    def _learn(self, delivery: Delivery, sent: Sent) -> None:
        patience = self._terms.patience
        self._health = after(self._health, (sent.judged,), self._clock(), patience)
        self._made += 1
        if not self._came:
            self._came_at = monotonic()
        self._came.append((delivery, sent))
        if self._noting is None and len(self._came) in (1, BATCH):
            self._news.set()

    def _note(self, ending: bool) -> None:
        """Begin to write down what came, and to fetch more where there is room for it."""
        if self._noting is not None:
            return
        wanted = 0 if ending or (self._dry and not self._came) else self._wanted()
        asks = bool(wanted) or (self._is_old and bool(self._ready))
        if (self._came and self._is_time(wanted)) or (asks and not self._came):
            self._begin(wanted)

    def _begin(self, wanted: int) -> None:
        came, self._came = self._came, []
        self._noting = asyncio.create_task(self._ask(came, wanted))
        self._noting.add_done_callback(lambda _: self._news.set())

    def _is_time(self, wanted: int) -> bool:
        """Whether what came is written now, and waits for nothing that is still under way."""
        return (
            len(self._came) >= BATCH
            or not self._under_way
            or self._is_old
            or (not self._dry and wanted > 0 and len(self._ready) < self._room)
            or monotonic() >= self._came_at + LINGER_SECONDS
        )

    def _wanted(self) -> int:
        """How many more are fetched: none while there is enough."""
        most = min(MOST_READY, READY + self._made)
        few = most // 2 if self._room > 1 else 0
        return most - len(self._ready) if len(self._ready) <= few else 0

    async def _hear(self, ending: bool) -> None:
        """Wait until something is to be done."""
        try:
            async with asyncio.timeout(self._patience(ending)):
                await self._news.wait()
        except TimeoutError:
            if self._noting is None and not self._came:
                # Something may be due by now beside what takes its time; the lease is renewed too.
                has_room = len(self._under_way) < self._room and not ending
                self._begin(self._wanted() if has_room else 0)
        for sender in [one for one in self._senders if one.done()]:
            self._senders.remove(sender)
            sender.result()
        if self._noting is not None and self._noting.done():
            noted, self._noting = self._noting, None
            noted.result()

    def _patience(self, ending: bool) -> float | None:
        if self._noting is not None:
            return None
        if self._came:
            return max(0.0, self._came_at + LINGER_SECONDS - monotonic())
        # Senders, for what they have just been given is not under way yet.
        has_room = len(self._senders) < self._room and not ending
        return LOOK_AGAIN_SECONDS if has_room else self._terms.lease.total_seconds() / 4

    def _is_ending(self, stop: asyncio.Event) -> bool:
        return not self._held or stop.is_set() or monotonic() > self._until or self._health.rest > 0

    @property
    def _is_old(self) -> bool:
        """Whether what is known of what is ready is no news any more."""
        return monotonic() > self._known_at + LOOK_AGAIN_SECONDS

    @property
    def _waits(self) -> bool:
        """Whether nothing more is sent: it could not be written down, or may be erased by now."""
        return self._hold.is_away or self._is_old

    @property
    def _room(self) -> int:
        """One alone shows whether a subscriber is back that had failed too often."""
        return 1 if self._health.failures >= self._terms.patience.failures else AT_ONCE

    async def _ask(self, came: Sequence[tuple[Delivery, Sent]], wanted: int) -> None:
        """Write down what came back, if anything did, and fetch what is due."""
        if not came:
            self._take_up(await self._hold.keep(self._in_hand(), wanted), wanted)
            return
        self.owes = True
        tally(self.connected.form, [sent for _, sent in came])
        failpoints.reach("deliver.after_send_before_record")
        pauses = self._terms.pauses(self.connected.form)
        written = [
            Came(one, sent, *schedule.after(sent.judged, one.attempts + 1, pauses, random.random()))  # noqa: S311
            for one, sent in came
        ]
        await self._finish(written, wanted)

    async def cannot(self, reason: str) -> None:
        """Nothing can be sent; the lane rests."""
        judged = [Judged(Verdict.FORBIDDEN, reason)]
        self._health = after(self._health, judged, self._clock(), self._terms.patience)
        await self._finish((), 0)

    async def _finish(self, came: Sequence[Came], wanted: int) -> None:
        health = self._health
        self._health = replace(health, succeeded=False)
        failpoints.reach("deliver.mid_record")
        told = await self._hold.finish(came, health, self._in_hand(), wanted)
        self.owes = False
        if told.disabled:
            log.warning(
                "connection disabled",
                account_id=self.connected.lane.account_id,
                connection_id=self.connected.lane.connection_id,
                reason=health.reason,
            )
        self._take_up(told, wanted)

    def _in_hand(self) -> list[int]:
        ready = (one.delivery_id for one in self._ready)
        return [*ready, *self._under_way, *(one.delivery_id for one, _ in self._came)]

    def _take_up(self, told: Told, wanted: int) -> None:
        self._held = self._held and told.held
        self._is_left = told.let_go
        # From the answer on: were it counted from the question, a slow database would stop all.
        self._known_at = monotonic()
        if told.gone:
            self._ready = deque(one for one in self._ready if one.delivery_id not in told.gone)
        self._ready.extend(told.due)
        if wanted:
            self._dry = len(told.due) < wanted

    async def leave(self) -> None:
        """Let the lane go, if it is not yet."""
        if not self._is_left:
            await self._hold.leave()
