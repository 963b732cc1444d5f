"""The verdict on what was told, from the subscribers' ledger and the database alone."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.chaos.installation import Installation
from tests.chaos.ledger import lines
from tests.chaos.subscribers import CLASSIC

from milepost.tracking.parcel import told_event_id

MOST_EXTRA = 3
"""Deliveries that came once more, for each kill, on average."""
_FEED = "SELECT account_id, feed_seq, parcel_id, sequence, kind FROM feed_event ORDER BY 1, 2"
_HEADS = "SELECT account_id, feed_seq FROM feed_head"
_CONNECTIONS = "SELECT account_id, connection_id, name FROM connection"
_DELIVERIES = """
SELECT d.connection_id, d.delivery_id, d.parcel_id, d.state, m.event_id, m.sequence
FROM delivery d JOIN message m USING (account_id, message_id) ORDER BY d.delivery_id
"""
_LANES = "SELECT connection_id FROM delivery_lane WHERE turn_at < 'infinity' AND state = 'open'"
_STATUSES = "SELECT parcel_id, status FROM parcel"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What the database says was told, or is to be."""

    feed: Sequence[Row]
    heads: Mapping[int, int]
    connections: Sequence[Row]
    deliveries: Sequence[Row]
    with_a_turn: Sequence[int]
    statuses: Mapping[int, str]
    waiting: int


@dataclass(frozen=True, slots=True)
class Got:
    """What one subscriber noted: ``taken`` are the ids it said yes to, in order, each once."""

    bodies: Mapping[str, set[str]]
    taken: Mapping[str, int]
    extra: int


async def read_told(house: Installation) -> Told:
    connection = await house.connect()
    try:
        return Told(
            feed=[dict(row) for row in await connection.fetch(_FEED)],
            heads={row[0]: row[1] for row in await connection.fetch(_HEADS)},
            connections=[dict(row) for row in await connection.fetch(_CONNECTIONS)],
            deliveries=[dict(row) for row in await connection.fetch(_DELIVERIES)],
            with_a_turn=[row[0] for row in await connection.fetch(_LANES)],
            statuses={row[0]: row[1] for row in await connection.fetch(_STATUSES)},
            waiting=await connection.fetchval("SELECT count(*) FROM outbox"),
        )
    finally:
        await connection.close()


def heard(path: Path) -> dict[int, Got]:
    """The subscribers' ledger by connection."""
    bodies: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    taken: dict[int, dict[str, int]] = defaultdict(dict)
    extra: dict[int, int] = defaultdict(int)
    for line in lines(path):
        connection, event = line["connection"], line["id"]
        bodies[connection][event].add(line["body"])
        if line["status"] == 200:
            extra[connection] += event in taken[connection]
            taken[connection].setdefault(event, line["sequence"])
    return {one: Got(bodies[one], taken[one], extra[one]) for one in bodies}


def extra_deliveries(path: Path) -> int:
    """How often something was taken that had been taken before."""
    return sum(one.extra for one in heard(path).values())


def verdict_on_told(path: Path, told: Told) -> list[str]:
    """Everything that is wrong, one line each; empty when all promises were kept."""
    got = heard(path)
    wrong = list(_feed(told))
    if told.waiting:
        wrong.append(f"outbox: {told.waiting} were never told")
    wrong += [f"lane {one}: still has its turn" for one in told.with_a_turn]
    same: dict[str, set[str]] = defaultdict(set)
    for connection in told.connections:
        noted = got.get(connection["connection_id"], Got({}, {}, 0))
        wrong += _subscriber(connection, noted, told)
        for event, bodies in noted.bodies.items():
            same[event] |= bodies
    return wrong + [
        f"event {one}: {len(them)} bodies" for one, them in same.items() if len(them) > 1
    ]


def _feed(told: Told) -> Iterator[str]:
    numbers: dict[int, list[int]] = defaultdict(list)
    for row in told.feed:
        numbers[row["account_id"]].append(row["feed_seq"])
    for account, found in numbers.items():
        if found != list(range(1, len(found) + 1)):
            yield f"feed of {account}: has a gap"
        if told.heads[account] != len(found):
            yield f"feed of {account}: its head is {told.heads[account]}, not {len(found)}"


def _subscriber(connection: Row, noted: Got, told: Told) -> list[str]:
    name = f"{connection['name']} {connection['connection_id']}"
    mine = [one for one in told.deliveries if one["connection_id"] == connection["connection_id"]]
    wrong = [
        f"{name}: {one['event_id']} is {one['state']}"
        for one in mine
        if one["state"] != "delivered"
    ]
    wrong += [
        f"{name}: {one['event_id']} is noted as delivered and never arrived"
        for one in mine
        if one["state"] == "delivered" and one["event_id"] not in noted.taken
    ]
    if connection["name"] == CLASSIC:
        return [*wrong, *_classic(name, mine, noted, told)]
    return [*wrong, *_events(name, connection, noted, told)]


def _events(name: str, connection: Row, noted: Got, told: Told) -> Iterator[str]:
    """Every event of the account, each parcel's in the order of its numbers."""
    by_parcel: dict[int, list[str]] = defaultdict(list)
    for row in told.feed:
        if row["account_id"] == connection["account_id"] and row["kind"] == "event":
            parcel = row["parcel_id"]
            by_parcel[parcel].append(told_event_id(parcel, row["sequence"]))
    place = {event: nth for nth, event in enumerate(noted.taken)}
    for parcel, events in by_parcel.items():
        if missing := [one for one in events if one not in place]:
            yield f"{name}: was never told {missing}"
        came = sorted((one for one in events if one in place), key=place.__getitem__)
        if not _rises([noted.taken[one] for one in came]):
            yield f"{name}: parcel {parcel} out of order, {[noted.taken[one] for one in came]}"


def _classic(name: str, mine: Sequence[Row], noted: Got, told: Told) -> Iterator[str]:
    """Each parcel's states in the order they were put on their way, the last one as it is now."""
    by_parcel: dict[int, list[Row]] = defaultdict(list)
    for one in mine:
        by_parcel[one["parcel_id"]].append(one)
    place = {event: nth for nth, event in enumerate(noted.taken)}
    for parcel, sent in by_parcel.items():
        if not _rises([place[one["event_id"]] for one in sent if one["event_id"] in place]):
            yield f"{name}: states of parcel {parcel} out of order"
        status = told.statuses[parcel].lower()
        if not sent[-1]["event_id"].endswith(f"-{status}"):
            yield f"{name}: parcel {parcel} is {status}, told was {sent[-1]['event_id']}"


def _rises(numbers: Sequence[int]) -> bool:
    return all(first < second for first, second in pairwise(numbers))
