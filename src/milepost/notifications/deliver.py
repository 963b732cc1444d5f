"""Delivering: a worker takes a connection's lane, sends what is due there, and notes what came.

In a lane the events of a parcel go out one after the other, several parcels side by side. Lanes
know nothing of each other, so a subscriber that is slow or gone holds up nobody else.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from milepost import failpoints
from milepost.accounts.secret_keys import CannotOpen
from milepost.db.pool import Pool, all_rows
from milepost.errors import DatabaseUnavailable
from milepost.notifications.forms import Kind
from milepost.notifications.held import Lane, Sender
from milepost.notifications.statements import DELIVER
from milepost.notifications.terms import Terms
from milepost.notifications.turn import READY, Turn


class Deliverer:
    """Delivers. One per worker process, safe beside any number of others."""

    def __init__(
        self,
        pool: Pool,
        senders: Mapping[Kind, Sender],
        terms: Terms | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``pool`` acts as milepost_worker."""
        self._pool = pool
        self._senders = senders
        self._terms = terms or Terms()
        self._clock = clock

    async def due(self, most: int, failing: int | None = None) -> list[Lane]:
        """Lanes whose turn it is, the longest due first: at most ``most`` of those that do well,
        and then as many, or ``failing``, of those that failed when they were tried last."""
        failing = most if failing is None else failing
        rows = await all_rows(
            lambda: DELIVER.due_lanes(self._pool, most=most, failing=failing), seconds=None
        )
        return [Lane(row["account_id"], row["connection_id"], row["fails"]) for row in rows]

    async def work(self, lane: Lane, stop: asyncio.Event | None = None) -> int:
        """Deliver what is due on a lane, if it can be had; how many attempts were made.

        Ends when nothing is due any more, the lane is to rest, its time is over, or ``stop`` is
        set; what is under way then is finished.
        """
        rows = await all_rows(
            lambda: DELIVER.take_lane(
                self._pool,
                account_id=lane.account_id,
                connection_id=lane.connection_id,
                lease=self._terms.lease,
                most=READY,
            ),
            seconds=None,
        )
        if not rows:
            return 0
        failpoints.reach("deliver.after_lease")
        turn = Turn(self._pool, lane, rows, self._terms, self._clock)
        try:
            try:
                send = self._senders[turn.connected.kind].to(turn.connected)
            except (CannotOpen, KeyError) as error:
                await turn.cannot(f"its secrets can't be read: {error}")
                return 0
            return await turn.take(send, stop or asyncio.Event())
        except DatabaseUnavailable:
            raise
        except Exception:
            # What was sent and can't be noted would be sent again at once, and again.
            await turn.cannot("a fault of Milepost's own, see its log")
            raise
        finally:
            if not turn.owes:
                await turn.leave()
