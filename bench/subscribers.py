"""Accounts whose subscribers are on loopback, with deliveries that wait for them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.checking import PATIENCE_SECONDS, ask
from bench.house import Database
from bench.run import Run
from milepost.accounts.secret_keys import SecretKeys
from milepost.notifications.sealing import Seals
from milepost.notifications.signing import new_key

BODY = b"x" * 700
"""As long as an event's body is."""


@dataclass(frozen=True, slots=True)
class Place:
    """A database with an account, and the subscriber's port."""

    database: Database
    account_id: int
    port: int


async def new_place(run: Run, name: str, port: int) -> Place:
    """A new database with an account."""
    database = await run.house.database(name)
    merchant = await database.merchant("merchant")
    return Place(database, merchant.account_id, port)


async def connect(place: Place, paths: Sequence[str], subscriptions: int = 1) -> list[int]:
    """A webhook connection for each path, with so many subscriptions to everything."""
    connection = await place.database.connect()
    keys = SecretKeys.load(place.database.settings, embedded=False)
    try:
        rows = await connection.fetch(_CONNECTION_IDS, len(paths))
        made = [row["connection_id"] for row in rows]
        urls = [f"http://127.0.0.1:{place.port}{path}" for path in paths]
        sealed = [Seals(keys, place.account_id, one).seal_key(new_key()) for one in made]
        await connection.execute(_CONNECT, place.account_id, made, urls, sealed)
        await connection.execute(_LANES, place.account_id, made)
        for _ in range(subscriptions):
            await connection.execute(_SUBSCRIBE, place.account_id, made)
        return made
    finally:
        await connection.close()


async def send_to(place: Place, connection_id: int, path: str) -> None:
    """Let a connection's deliveries go elsewhere, as if it had never failed."""
    connection = await place.database.connect()
    try:
        url = f"http://127.0.0.1:{place.port}{path}"
        await connection.execute(_MOVE, place.account_id, connection_id, url)
        await connection.execute(_WELL, place.account_id, connection_id)
    finally:
        await connection.close()


async def fill(place: Place, connections: Sequence[int], each: int) -> None:
    """Deliveries for each connection, about parcels of their own; their turn has not come yet."""
    connection = await place.database.connect()
    try:
        await connection.execute(_MESSAGES, place.account_id, len(connections) * each, BODY)
        await connection.execute(_DELIVERIES, place.account_id, list(connections))
        for table in ("message", "delivery", "delivery_lane"):
            await connection.execute(f"ANALYZE {table}")
    finally:
        await connection.close()


async def delivered(place: Place, count: int, needed: Sequence[int]) -> float:
    """Let all lanes have their turn; seconds until ``needed`` connections have nothing left."""
    connection = await place.database.connect()
    try:
        started = time.monotonic()
        await connection.execute(_TURNS_COME, place.account_id)
        while await connection.fetchval(_LEFT, place.account_id, list(needed)):
            await asyncio.sleep(0.02)
            if time.monotonic() - started > PATIENCE_SECONDS:
                told = ask(place.port, "/told")["count"]
                raise RuntimeError(f"{told} of {count} deliveries came")
        return time.monotonic() - started
    finally:
        await connection.close()


def allowed(place: Place) -> dict[str, str]:
    """Settings that let a worker call the subscriber."""
    return {"MILEPOST_EGRESS_ALLOW": f"127.0.0.1:{place.port}"}


_CONNECTION_IDS = """
SELECT nextval('connection_connection_id_seq') AS connection_id FROM generate_series(1, $1)
"""
_CONNECT = """
INSERT INTO connection (account_id, connection_id, kind, form, url, signing_key)
SELECT $1, c.connection_id, 'webhook', 'sendcloud_v3', c.url, c.signing_key
FROM unnest($2::bigint[], $3::text[], $4::bytea[]) AS c (connection_id, url, signing_key)
"""
_LANES = "INSERT INTO delivery_lane (account_id, connection_id) SELECT $1, unnest($2::bigint[])"
_SUBSCRIBE = """
INSERT INTO subscription (account_id, connection_id, event_type)
SELECT $1, unnest($2::bigint[]), 'parcels.event.created'
"""
_MOVE = "UPDATE connection SET url = $3 WHERE account_id = $1 AND connection_id = $2"
_WELL = """
UPDATE delivery_lane SET failures = 0, rests_until = NULL, lease_until = NULL, fence = fence + 1
WHERE account_id = $1 AND connection_id = $2
"""
_MESSAGES = """
INSERT INTO message (account_id, parcel_id, sequence, event_id, action, form, body)
SELECT $1, n, 1, 'event-' || n, 'parcels.event.created', 'sendcloud_v3', $3
FROM generate_series(1, $2) AS n
"""
_DELIVERIES = """
INSERT INTO delivery (account_id, connection_id, message_id, parcel_id, due_at)
SELECT $1, ($2::bigint[])[1 + m.parcel_id % cardinality($2::bigint[])], m.message_id, m.parcel_id,
       now()
FROM message m WHERE m.account_id = $1
  AND NOT EXISTS (SELECT FROM delivery d WHERE d.account_id = $1 AND d.message_id = m.message_id)
"""
_TURNS_COME = "UPDATE delivery_lane SET turn_at = now() WHERE account_id = $1"
_LEFT = """
SELECT EXISTS (SELECT FROM delivery
               WHERE account_id = $1 AND state = 'pending' AND connection_id = ANY ($2::bigint[]))
"""
