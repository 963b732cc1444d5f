"""How long work has been waiting, over all accounts and whatever it waits for (``WAITS``).

Told as the age of the first parcel due by what its lane waits for: a lane that is paused or closed
is no less late for that. At most ``MOST`` open and as many closed lanes are looked into, open ones
whose turn is next first; ``unread`` says how many were not.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milepost.accounts.statements import statements as ACCOUNTS
from milepost.db.pool import Connection, load_queries

QUERIES: Any = load_queries(Path(__file__).with_name("queues.sql"))
MOST = 2_000
WAITS = {
    "turn": "nobody has asked yet: workers are behind",
    "paused": "our own quota, or a rest after a fault",
    "throttled": "the carrier asked for a rest (429, Retry-After)",
    "breaker_open": "the carrier fails too often to be asked",
    "stopped": "the operator wants nobody to ask that carrier",
    "credential_refused": "the carrier refuses the login",
    "waiting_for_credentials": "closed until a login is set",
    "not_supported": "closed: nobody here can ask that carrier",
    "suspended": "the operator has suspended the account",
}


@dataclass(frozen=True, slots=True)
class LaneAge:
    """A lane, and for how many seconds its first parcel has been due (0: none is)."""

    account_id: int
    carrier_code: str
    state: str
    paused: bool
    due_seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """A carrier that nobody may ask now with the credential of ``owner``."""

    carrier_code: str
    owner: str
    breaker_open: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Lanes with parcels due, and for how many seconds the first of those has been."""

    lanes: int = 0
    oldest_due_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Untold:
    """What carriers told by themselves and nobody has told on, by why (``waiting``, ``dead``, ...):
    how many payloads, and for how many seconds the first of them has been due."""

    state: str
    payloads: int
    due_seconds: float


@dataclass(frozen=True, slots=True)
class Job:
    """A regular job: seconds since it ended well (None: never) and since it was begun."""

    name: str
    success_seconds: float | None
    started_seconds: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Queues:
    """One look at everything that waits."""

    waiting: Mapping[str, Waiting]
    lanes: int
    unread: int
    outbox_seconds: float
    deadline_seconds: float
    held: tuple[Held, ...]
    stopped: tuple[str, ...]
    jobs: tuple[Job, ...]
    untold: tuple[Untold, ...] = ()


async def read_queues(
    connection: Connection, asked_code: Callable[[str], str], most: int = MOST
) -> Queues:
    """Look once, in a transaction of ``milepost_admin``; its account setting is overwritten.

    ``asked_code`` gives the code of the carrier that is asked for a lane's, whose quota it is.
    """
    lanes = [LaneAge(**row) for row in await _rows(connection, "lane_ages", most=most)]
    held = tuple([Held(**row) for row in await _rows(connection, "held_carriers")])
    stopped = tuple([row["carrier_code"] for row in await _rows(connection, "stopped_carriers")])
    count: int = await QUERIES.lane_count(connection)
    suspended = {row["account_id"] async for row in ACCOUNTS.suspended(connection)}
    return Queues(
        waiting=waiting(lanes, asked_code, held, stopped, suspended),
        lanes=count,
        unread=max(0, count - len(lanes)),
        outbox_seconds=await QUERIES.outbox_age(connection, most=most),
        deadline_seconds=await QUERIES.deadline_age(connection),
        held=held,
        stopped=stopped,
        jobs=tuple([Job(**row) for row in await _rows(connection, "jobs")]),
        untold=tuple([Untold(**r) for r in await _rows(connection, "intake_ages", most=most)]),
    )


async def _rows(connection: Connection, name: str, **parameters: Any) -> list[dict[str, Any]]:
    found = getattr(QUERIES, name)(connection, **parameters)
    return [dict(row) async for row in found]


def waiting(
    lanes: Iterable[LaneAge],
    asked_code: Callable[[str], str],
    held: Iterable[Held],
    stopped: Collection[str] = (),
    suspended: Collection[int] = (),
) -> Mapping[str, Waiting]:
    """The lanes with parcels due by what they wait for, every word of ``WAITS`` told."""
    by_owner = {(one.carrier_code, one.owner): one for one in held}
    found = dict.fromkeys(WAITS, Waiting())
    for lane in lanes:
        if lane.due_seconds > 0:
            what = waits_for(lane, asked_code(lane.carrier_code), by_owner, stopped)
            if lane.account_id in suspended:
                what = "suspended"
            known = found[what]
            oldest = max(known.oldest_due_seconds, lane.due_seconds)
            found[what] = Waiting(known.lanes + 1, oldest)
    return found


def waits_for(
    lane: LaneAge, asked: str, held: Mapping[tuple[str, str], Held], stopped: Collection[str]
) -> str:
    """One word of ``WAITS``. Whose login serves a lane is not stored: its own, or ours."""
    if lane.state != "open":
        return lane.state if lane.state in WAITS else "paused"
    if asked in stopped:
        return "stopped"
    own = held.get((asked, f"account:{lane.account_id}"))
    holding = own or held.get((asked, "operator"))
    if holding is not None and holding.breaker_open:
        return "breaker_open"
    if lane.paused:
        return "throttled" if holding else "paused"
    return "turn"
