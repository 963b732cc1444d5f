"""How long what is to be told has been waiting, over all accounts and whatever it waits for.

A connection that rests, is paused or disabled is no less late for that. At most ``MOST`` open and
as many other lanes are looked into, open ones whose turn is next first.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from milepost.db.pool import Connection
from milepost.notifications.health import STATES
from milepost.notifications.statements import HEALTH

MOST = 2_000
WAITS = {
    "turn": "nobody has taken it yet: workers are behind",
    "busy": "a worker is at it: its subscriber is slower than what happens",
    "resting": "the subscriber fails, or has asked to be left alone for a while",
    "paused": "its account wants nothing to be sent there",
    "disabled": "the subscriber failed for too long, or wants no more",
    "suspended": "the operator has suspended the account",
}


@dataclass(frozen=True, slots=True)
class Backlog:
    """Connections with deliveries due, and for how many seconds the first of those has been."""

    connections: int = 0
    due_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Telling:
    """One look: what waits by the words of ``WAITS``, connections by their state."""

    waiting: Mapping[str, Backlog]
    connections: Mapping[str, int]


async def read_telling(connection: Connection, most: int = MOST) -> Telling:
    """Look once, in a transaction of ``milepost_admin``; its account setting is overwritten."""
    waiting = dict.fromkeys(WAITS, Backlog())
    async for row in HEALTH.delivery_ages(connection, most=most):
        waiting[row["waits_for"]] = Backlog(row["connections"], row["due_seconds"])
    states = dict.fromkeys(STATES, 0)
    async for row in HEALTH.connection_states(connection):
        states[row["state"]] = row["connections"]
    return Telling(waiting, states)
