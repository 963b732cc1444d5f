"""One lane in hand: what is due there is sent, and what came back is written down."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import Any

import asyncpg
import structlog

from milepost import failpoints
from milepost.db.pool import Pool, all_rows, retrying
from milepost.notifications import schedule
from milepost.notifications.held import Connected, Delivery, Lane, Send, Sent
from milepost.notifications.patience import Health, after
from milepost.notifications.statements import DELIVER
from milepost.notifications.tally import tally
from milepost.notifications.terms import Terms
from milepost.notifications.verdict import Judged, Verdict

AT_ONCE = 4
"""Deliveries under way to one connection: as many as it gets connections."""
READY = 16
"""Deliveries that are fetched together."""
LOOK_AGAIN_SECONDS = 0.5
"""While some requests take their time, how often more is looked for."""
HOLD_SECONDS = 5.0
"""After so long a lane is left, that others have their turn."""

log = structlog.get_logger(__name__)


class Turn:
    """One lane in hand: what is ready, under way, and not written down yet.

    ``owes``: something was sent of which nothing could be written, so that it will be sent again.
    The lane is not let go then, for it would be at once; its lease ends.
    """

    def __init__(
        self, pool: Pool, lane: Lane, row: Any, terms: Terms, clock: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._terms = terms
        self._clock = clock
        self._fence: int = row["fence"]
        self._health = Health(row["failures"], row["failing_since"])
        self._held = True
        self._ready: list[Delivery] = []
        self._under_way: dict[asyncio.Task[Sent], Delivery] = {}
        self._until = monotonic() + HOLD_SECONDS
        self._came: list[tuple[Delivery, Sent]] = []
        self._noting: asyncio.Task[int] | None = None
        self._dry = False
        self.owes = False
        self.connected = Connected.of(lane, row)

    async def take(self, send: Send, stop: asyncio.Event) -> int:
        """Send what is due; what came back is written down, and more is fetched, meanwhile.

        One statement at a time: what comes back while it is under way goes with the next one. What
        is under way at the end is waited for: it may have been taken, and would be sent again.
        """
        made = 0
        try:
            while True:
                ending = self._is_ending(stop)
                self._start(send, ending)
                self._note(0 if ending else READY - len(self._ready))
                if self._noting is None and not self._under_way:
                    break
                made += await self._hear(ending)
        finally:
            self.owes = self.owes or bool(self._under_way or self._came)
            left = [*self._under_way, *([self._noting] if self._noting else [])]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return made

    def _note(self, room: int) -> None:
        """Begin to write down what came, and to fetch more where there is room for it."""
        # Behind what came the next of its parcel is due, however dry it was before.
        is_dry = self._dry and not self._came
        wanted = 0 if is_dry or len(self._ready) >= self._room else room
        if self._noting is None and (self._came or wanted > 0):
            came, self._came = self._came, []
            self._noting = asyncio.create_task(self._write(came, wanted))

    async def _hear(self, ending: bool) -> int:
        """Wait until something came back or was written; how many attempts came back."""
        waited = [*self._under_way, *([self._noting] if self._noting else [])]
        has_room = len(self._under_way) < self._room
        seconds = LOOK_AGAIN_SECONDS if has_room else self._terms.lease.total_seconds() / 4
        done, _ = await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if self._noting in done:
            noted, self._noting = self._noting, None
            self._dry = await noted == 0
        elif not done and self._noting is None:
            # Something may be due by now beside what takes its time; the lease is renewed too.
            wanted = READY - len(self._ready) if has_room and not ending else 0
            self._noting = asyncio.create_task(self._see(wanted))
        new = [
            (self._under_way.pop(task), task.result())
            for task in list(self._under_way)
            if task in done
        ]
        if new:
            self._dry = False
            self._learn(new)
            self._came += new
        return len(new)

    def _is_ending(self, stop: asyncio.Event) -> bool:
        return not self._held or stop.is_set() or monotonic() > self._until or self._health.rest > 0

    @property
    def _room(self) -> int:
        """One alone shows whether a subscriber is back that had failed too often."""
        return 1 if self._health.failures >= self._terms.patience.failures else AT_ONCE

    def _start(self, send: Send, ending: bool) -> None:
        if ending:
            self._ready.clear()
        while self._ready and len(self._under_way) < self._room:
            delivery = self._ready.pop(0)
            self._under_way[asyncio.create_task(send(delivery))] = delivery

    async def _see(self, most: int) -> int:
        """Fetch what is due, or only hold on to the lane; how many there were.

        Like all that is asked here it waits for a connection as long as it takes: who gives up in a
        crowd leaves a lane behind that nobody has in hand until its lease ends.
        """
        rows = await all_rows(
            lambda: DELIVER.due_deliveries(
                self._pool,
                account_id=self.connected.lane.account_id,
                connection_id=self.connected.lane.connection_id,
                fence=self._fence,
                lease=self._terms.lease,
                in_hand=self._in_hand(),
                most=most,
            ),
            seconds=None,
        )
        return self._take_up(rows)

    def _in_hand(self) -> list[int]:
        came = (delivery for delivery, _ in self._came)
        return [one.delivery_id for one in (*self._ready, *self._under_way.values(), *came)]

    def _take_up(self, rows: Sequence[asyncpg.Record]) -> int:
        self._held = self._held and rows[0]["held"]
        found = [
            Delivery(**{name: value for name, value in row.items() if name != "held"})
            for row in rows[1:]
        ]
        self._ready += found
        return len(found)

    def _learn(self, results: Sequence[tuple[Delivery, Sent]]) -> None:
        for _, sent in results:
            tally(self.connected.form, sent)
        judged = [sent.judged for _, sent in results]
        unwritten = self._health.succeeded
        health = after(self._health, judged, self._clock(), self._terms.patience)
        self._health = replace(health, succeeded=health.succeeded or unwritten)

    async def _write(self, results: Sequence[tuple[Delivery, Sent]], wanted: int) -> int:
        """Write down what came back, and fetch what is due; how many that were."""
        if not results:
            return await self._see(wanted)
        self.owes = True
        failpoints.reach("deliver.after_send_before_record")
        pauses = self._terms.pauses(self.connected.form)
        states = [
            schedule.after(sent.judged, delivery.attempts + 1, pauses, random.random())  # noqa: S311
            for delivery, sent in results
        ]
        found = await self._finish(results, states, wanted)
        if self._health.given_up:
            self._held = False
            log.warning(
                "connection disabled",
                account_id=self.connected.lane.account_id,
                connection_id=self.connected.lane.connection_id,
                reason=self._health.reason,
            )
        return found

    async def cannot(self, reason: str) -> None:
        """Nothing can be sent; the lane rests."""
        judged = [Judged(Verdict.FORBIDDEN, reason)]
        self._health = after(self._health, judged, self._clock(), self._terms.patience)
        await self._finish((), (), 0)

    async def _finish(
        self,
        results: Sequence[tuple[Delivery, Sent]],
        states: Sequence[tuple[str, float | None]],
        wanted: int,
    ) -> int:
        health = self._health
        self._health = replace(health, succeeded=False)
        lane = self.connected.lane
        failpoints.reach("deliver.mid_record")
        rows = await retrying(
            lambda: self._pool.fetch(
                "SELECT * FROM finish_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
                " $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
                lane.account_id,
                lane.connection_id,
                self._fence,
                [delivery.delivery_id for delivery, _ in results],
                [state for state, _ in states],
                [due_in for _, due_in in states],
                [sent.judged.was_sent for _, sent in results],
                [sent.started_at for _, sent in results],
                [sent.milliseconds for _, sent in results],
                [sent.judged.verdict for _, sent in results],
                [sent.status for _, sent in results],
                [sent.judged.reason for _, sent in results],
                [dict(sent.headers) for _, sent in results],
                [sent.answer for _, sent in results],
                health.failures,
                health.succeeded,
                health.rest,
                health.reason,
                health.given_up,
                self._terms.lease,
                self._in_hand(),
                wanted,
            ),
            seconds=None,
        )
        self.owes = False
        return self._take_up(rows)

    async def leave(self) -> None:
        """Let the lane go."""
        await retrying(
            lambda: DELIVER.leave_lane(
                self._pool,
                account_id=self.connected.lane.account_id,
                connection_id=self.connected.lane.connection_id,
                fence=self._fence,
            ),
            seconds=None,
        )
