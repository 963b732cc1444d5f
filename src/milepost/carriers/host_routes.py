"""Where a documented host is really reached: set by the operator, kept in the database."""

from milepost.db.pool import Pool, retrying


async def host_routes(pool: Pool) -> dict[str, str]:
    """Base URLs by documented host, for the fetcher."""
    rows = await retrying(lambda: pool.fetch("SELECT host, base_url FROM host_route"))
    return {row["host"]: row["base_url"] for row in rows}
