"""A lane under a lease: what is asked and written there, though the database goes away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

import asyncpg

from milepost.db.pool import Pool, all_rows, retrying
from milepost.errors import DatabaseUnavailable
from milepost.notifications.held import Delivery, Lane, Sent
from milepost.notifications.patience import Health
from milepost.notifications.statements import DELIVER
from milepost.notifications.verdict import Verdict

REPEAT_SECONDS = 0.2
"""The first pause before a statement is repeated; the others are twice as long, and shorter than
``worker.notifying.SETTLING_SECONDS``, within which nobody else takes the lane."""
AWAY_SECONDS = 30.0
"""So long a statement is repeated. That the lease may be over by then does no harm: where the
database is away for all nobody takes the lane, else the fence refuses what comes too late."""


@dataclass(frozen=True, slots=True)
class Came:
    """What came back of a delivery, what it is after that, and in how many seconds it is due."""

    delivery: Delivery
    sent: Sent
    state: str
    due_in: float | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a lane has due, whether it is still held as it was taken, whether it was disabled for
    what came back, and whether it was let go with that. ``gone``: what is in hand and waits no
    more, for it was erased or given up."""

    due: Sequence[Delivery]
    held: bool
    disabled: bool
    let_go: bool
    gone: frozenset[int]


class Hold:
    """One lane under a lease. ``is_away``: the database is not to be had at the moment.

    Each statement waits for a connection as long as it takes: who gives up in a crowd leaves a lane
    behind that nobody has in hand until its lease ends.
    """

    def __init__(self, pool: Pool, lane: Lane, taken: Any, lease: timedelta) -> None:
        """``taken`` is the lane's row, as it was taken."""
        self._pool = pool
        self._lease = lease
        self._which = {
            "account_id": lane.account_id,
            "connection_id": lane.connection_id,
            "fence": taken["fence"],
        }
        self._revision: int = taken["revision"]
        self.is_away = False

    async def keep(self, in_hand: Sequence[int], most: int) -> Told:
        """Hold on to it, and fetch what is due but for what is in hand, ``most`` at most."""
        return await self._asked(
            lambda _: all_rows(
                lambda: DELIVER.keep_lane(
                    self._pool,
                    **self._which,
                    revision=self._revision,
                    lease=self._lease,
                    in_hand=in_hand,
                    most=most,
                ),
                seconds=None,
            )
        )

    async def finish(
        self, came: Sequence[Came], health: Health, in_hand: Sequence[int], most: int
    ) -> Told:
        """Write down what came back, and fetch as ``keep`` does.

        With nothing in hand it lets the lane go where nothing is due.
        """
        sent = [one.sent for one in came]
        arguments = (
            *self._which.values(),
            self._revision,
            [one.delivery.delivery_id for one in came],
            [one.delivery.replayed_at for one in came],
            [one.state for one in came],
            [one.due_in for one in came],
            [_number(one) for one in came],
            [one.started_at for one in sent],
            [one.milliseconds for one in sent],
            [one.judged.verdict for one in sent],
            [one.status for one in sent],
            [one.judged.reason for one in sent],
            [one.headers for one in sent],
            [one.answer for one in sent],
            health.failures,
            health.succeeded,
            health.rest,
            health.reason,
            health.given_up,
            self._lease,
            in_hand,
            most,
            not in_hand,
        )
        return await self._asked(
            lambda again: retrying(
                lambda: self._pool.fetch(_FINISH, *arguments, again), seconds=None
            )
        )

    async def leave(self) -> None:
        """Let it go."""
        await retrying(lambda: DELIVER.leave_lane(self._pool, **self._which), seconds=None)

    async def _asked(self, ask: Callable[[bool], Awaitable[list[asyncpg.Record]]]) -> Told:
        """What ``ask`` finds; it is told whether it is a repeat.

        Where the database goes away it is repeated. Should somebody else have taken the lane
        meanwhile, the fence refuses what is written.
        """
        ends = monotonic() + AWAY_SECONDS
        pause, again = REPEAT_SECONDS, False
        while True:
            try:
                rows = await ask(again)
            except DatabaseUnavailable:
                if monotonic() + pause > ends:
                    raise
            else:
                self.is_away = False
                return _told(rows)
            self.is_away = again = True
            await asyncio.sleep(pause)
            pause = 2 * REPEAT_SECONDS


def deliveries(rows: Sequence[asyncpg.Record]) -> list[Delivery]:
    """What is due, of the rows that a lane gives."""
    return [
        Delivery(
            row["delivery_id"],
            row["parcel_id"],
            row["attempts"],
            row["event_id"],
            row["sequence"],
            row["action"],
            row["body"],
            replayed_at=row["replayed_at"],
        )
        for row in rows
    ]


def _told(rows: Sequence[asyncpg.Record]) -> Told:
    *due, lane = rows
    gone = frozenset(lane["gone"])
    return Told(deliveries(due), lane["held"], lane["disabled"], lane["let_go"], gone)


def _number(came: Came) -> int | None:
    """Which attempt it was; 0: none, and the log says why; None: none, and it says nothing."""
    judged = came.sent.judged
    if judged.was_sent:
        return came.delivery.attempts + 1
    return 0 if judged.verdict is Verdict.WITHHELD else None


# As text: aiosql's adapter would name two dozen arguments one by one.
_FINISH = f"SELECT * FROM finish_deliveries({', '.join(f'${n}' for n in range(1, 27))})"
