"""A connection whose turn it is, what is due there, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from milepost.notifications.forms import Form, Kind
from milepost.notifications.verdict import Judged


@dataclass(frozen=True, slots=True)
class Lane:
    """A connection's deliveries. ``fails``: it did when it was tried last, as far as is known."""

    account_id: int
    connection_id: int
    fails: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Connected:
    """What is needed to deliver to a connection, as it was when its lane was taken."""

    lane: Lane
    kind: Kind
    form: Form
    url: str
    settings: Mapping[str, Any]
    sealed: bytes | None = field(repr=False)
    signing_key: bytes | None = field(repr=False)
    former_key: bytes | None = field(repr=False)

    @classmethod
    def of(cls, lane: Lane, row: "Mapping[str, Any] | asyncpg.Record") -> "Connected":
        """As its row says."""
        return cls(
            lane,
            Kind(row["kind"]),
            Form(row["form"]),
            row["url"],
            row["settings"],
            row["sealed"],
            row["signing_key"],
            row["former_key"],
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way. ``attempts`` were made before; ``sequence`` numbers a parcel's events.

    ``event_id`` is the same for every attempt, replay and subscriber. ``is_test``: nothing has
    happened, somebody tries whether it arrives. ``replayed_at``: when it was last asked for again.
    """

    delivery_id: int
    parcel_id: int
    attempts: int
    event_id: str
    sequence: int
    action: str
    body: bytes
    is_test: bool = False
    replayed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """One attempt: what went out (without secrets), what came back (its beginning), and how long
    that took. ``status`` is None where no answer came."""

    judged: Judged
    started_at: datetime
    milliseconds: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""


class Send(Protocol):
    """Delivers to one connection; raises for nothing a subscriber does."""

    async def __call__(self, delivery: Delivery) -> Sent:
        """One attempt."""


class Sender(Protocol):
    """Knows one way of delivering."""

    def to(self, connected: Connected) -> Send:
        """Raises CannotOpen where its secrets can't be read."""
