"""The verdict, from ledgers and database alone, after the drain."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.carrier import scans_of
from tests.chaos.installation import Installation
from tests.chaos.ledger import Operation, operations

_PARCELS = """
SELECT p.account_id, p.parcel_id, p.carrier_code, p.tracking_number, p.status, p.event_count,
       p.ended_at IS NOT NULL AS ended, w.due_at, w.account_id IS NOT NULL AS watched,
       (SELECT count(*) FROM tracked_number n WHERE n.account_id = p.account_id
        AND n.parcel_id = p.parcel_id AND n.kind = 'number') AS numbers
FROM parcel p LEFT JOIN watch w USING (account_id, parcel_id)
"""
_EVENTS = """
SELECT account_id, parcel_id, sequence, event_key, event_type, raw_code,
       fact -> 'told' ->> 'text' AS text
FROM event ORDER BY account_id, parcel_id, sequence
"""
_UNFINISHED = """
SELECT (SELECT count(*) FROM parcel WHERE carrier_code = 'dhl' AND ended_at IS NULL)
     + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM delivery WHERE state = 'pending')
"""
Parcel = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds."""

    parcels: Sequence[Mapping[str, Any]]
    events: Mapping[Parcel, Sequence[Mapping[str, Any]]]
    outbox: Counter[tuple[int, int, int]]
    """What waits to be told, and what was: both."""


async def drain(house: Installation, seconds: float) -> float:
    """Wait until every watched parcel has arrived and was told; how long that took. Fails in the
    checker."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        connection = await house.connect()
        try:
            if await connection.fetchval(_UNFINISHED) == 0:
                break
        finally:
            await connection.close()
        await asyncio.sleep(0.5)
    return time.monotonic() - started


async def read(house: Installation) -> Stored:
    connection = await house.connect()
    try:
        parcels = await connection.fetch(_PARCELS)
        rows = await connection.fetch(_EVENTS)
        outbox = await connection.fetch(
            "SELECT account_id, parcel_id, sequence FROM outbox WHERE kind = 'event'"
            " UNION ALL"
            " SELECT account_id, parcel_id, sequence FROM feed_event WHERE kind = 'event'"
        )
    finally:
        await connection.close()
    events: dict[Parcel, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        events[row["account_id"], row["parcel_id"]].append(dict(row))
    return Stored([dict(row) for row in parcels], events, Counter(tuple(row) for row in outbox))


def verdict(ledger: Path, stored: Stored) -> list[str]:
    """Everything that is wrong, one line each; empty when all promises were kept."""
    told = operations(ledger)
    wrong = list(_registrations(told, stored))
    for parcel in stored.parcels:
        wrong += _parcel(parcel, stored)
    strays = [key for key in stored.outbox if key[:2] not in stored.events]
    wrong += [f"outbox tells of {key}, which is not stored" for key in strays]
    return wrong


def _registrations(told: Mapping[str, Operation], stored: Stored) -> list[str]:
    rows = Counter((one["account_id"], one["tracking_number"]) for one in stored.parcels)
    wrong = []
    for operation in told.values():
        name, found = operation.number, rows.pop((operation.account_id, operation.number), 0)
        if operation.refusals:
            wrong.append(f"{name}: refused with {operation.refusals}")
        if not operation.answers and not operation.refusals:
            wrong.append(f"{name}: never answered, {operation.unknown} attempts")
        if operation.answers and found == 0:
            wrong.append(f"{name}: acknowledged and lost")
        if found > 1:
            wrong.append(f"{name}: stored {found} times")
        if len(set(operation.answers)) > 1:
            wrong.append(f"{name}: two different answers to one key")
    return wrong + [f"{key}: stored and never sent" for key in rows]


def _parcel(parcel: Mapping[str, Any], stored: Stored) -> list[str]:
    owner, name = (parcel["account_id"], parcel["parcel_id"]), parcel["tracking_number"]
    events = stored.events.get(owner, ())
    wrong = []
    if [one["sequence"] for one in events] != list(range(1, len(events) + 1)):
        wrong.append(f"{name}: sequences are {[one['sequence'] for one in events]}")
    if parcel["event_count"] != len(events):
        wrong.append(f"{name}: counts {parcel['event_count']} events, has {len(events)}")
    if len({one["event_key"] for one in events}) != len(events):
        wrong.append(f"{name}: the same event twice")
    for one in events:
        # What was calculated and withdrawn before anybody was told is told to nobody; what holds
        # again is told again.
        if one["event_type"] == "calculated":
            continue
        if (times := stored.outbox[*owner, one["sequence"]]) != 1:
            wrong.append(
                f"{name}: {one['event_type']} event {one['sequence']} of {len(events)}"
                f" ({one['raw_code']}) is {times} times in the outbox or the feed, not once"
            )
    if parcel["numbers"] != 1 or not parcel["watched"]:
        wrong.append(f"{name}: without its number or its schedule")
    wrong += _journey(parcel, events, name)
    return wrong


def _journey(
    parcel: Mapping[str, Any], events: Sequence[Mapping[str, Any]], name: str
) -> list[str]:
    """What the carrier has told must be there, once, and nothing else."""
    expected = Counter({("announced", "Announced"): 1})
    if parcel["carrier_code"] == "dhl":
        expected += Counter((code, text) for _, code, text in scans_of(name))
    # What is calculated hangs on the clock, not on what was told.
    told = [one for one in events if one["event_type"] != "calculated"]
    found = Counter((one["raw_code"], one["text"]) for one in told)
    wrong = []
    if lost := expected - found:
        wrong.append(f"{name}: lost {sorted(lost)}")
    if doubled := found - expected:
        wrong.append(f"{name}: too many {sorted(doubled)}")
    if parcel["carrier_code"] == "dhl" and (parcel["status"], parcel["ended"]) != (
        "DELIVERED",
        True,
    ):
        wrong.append(f"{name}: ends as {parcel['status']}")
    return wrong
