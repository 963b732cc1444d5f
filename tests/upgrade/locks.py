"""How long a migration keeps others from a table, seen from beside it."""

import asyncio
import time
from dataclasses import dataclass, field

import asyncpg

# Modes in which a table can't be written by anybody else.
_BLOCKING = """
SELECT l.virtualtransaction AS holder, l.relation::regclass::text AS relation
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.relation = ANY ($1::oid[]) AND a.application_name = 'milepost_migrate'
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
"""
_TABLES = "SELECT array_agg(oid) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
EVERY = 0.02


@dataclass
class LockWatch:
    """Looks every 20 ms; ``longest`` is in seconds, by table, and errs by that much."""

    dsn: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    longest: dict[str, float] = field(default_factory=dict)
    looks: int = 0

    async def run(self) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            tables = await connection.fetchval(_TABLES)
            since: dict[tuple[str, str], float] = {}
            while not self.stop.is_set():
                now = time.monotonic()
                rows = await connection.fetch(_BLOCKING, tables)
                held = {(row["holder"], row["relation"]) for row in rows}
                since = {lock: since.get(lock, now) for lock in held}
                for (_, table), began in since.items():
                    self.longest[table] = max(self.longest.get(table, 0.0), now - began)
                self.looks += 1
                await asyncio.sleep(EVERY)
        finally:
            await connection.close()
