"""How much of a pool is in use, told once a second."""

import asyncio

from milepost import metrics
from milepost.db.pool import Pool

SECONDS = 1.0


async def watch_pool(pool: Pool, role: str) -> None:
    """Tell it until cancelled."""
    while True:
        size, idle = pool.get_size(), pool.get_idle_size()
        metrics.pool_connections.labels(role, "open").set(size)
        metrics.pool_connections.labels(role, "in_use").set(size - idle)
        await asyncio.sleep(SECONDS)
