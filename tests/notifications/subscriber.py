"""Subscribers that answer as a test wants, and remember what they were told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from milepost.egress.outcomes import Answered, Outcome
from milepost.notifications.held import Connected, Delivery, Send, Sent
from milepost.notifications.verdict import judge

Answer = Callable[[Delivery], Outcome]


def ok(_: Delivery) -> Outcome:
    return Answered(200)


def opened() -> asyncio.Event:
    """A gate that stands open."""
    gate = asyncio.Event()
    gate.set()
    return gate


def broken(_: Delivery) -> Outcome:
    return Answered(500)


@dataclass
class Subscriber:
    """A sender without a network: ``told`` has (parcel, sequence, attempt) as they came.

    ``delay`` seconds pass before an answer, which waits for the ``gate``; ``at_once`` is the most
    that were under way.
    """

    answer: Answer = ok
    delay: float = 0.0
    gate: asyncio.Event = field(default_factory=opened)
    told: list[tuple[int, int, int]] = field(default_factory=list)
    under_way: int = 0
    at_once: int = 0

    def to(self, connected: Connected) -> Send:
        async def send(delivery: Delivery) -> Sent:
            self.under_way += 1
            self.at_once = max(self.at_once, self.under_way)
            self.told.append((delivery.parcel_id, delivery.sequence, delivery.attempts + 1))
            try:
                await asyncio.sleep(self.delay)
                await self.gate.wait()
            finally:
                self.under_way -= 1
            now = datetime.now(UTC)
            outcome = self.answer(delivery)
            status = outcome.status if isinstance(outcome, Answered) else None
            return Sent(judge(outcome, now), now, 1, status, {"webhook-id": delivery.event_id})

        return send

    def of(self, parcel: int) -> list[int]:
        """The events of a parcel, in the order they came."""
        return [sequence for of, sequence, _ in self.told if of == parcel]
