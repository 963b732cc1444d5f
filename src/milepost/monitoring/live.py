"""Which carriers are live here: asked with success once, by whatever account."""

from collections.abc import Iterable
from datetime import datetime

from milepost.carriers.connector import Found, Outcome
from milepost.db.pool import Pool, retrying


class LiveCarriers:
    """Notes the first success of each carrier. One per process, which writes each once at most."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` has the worker's role."""
        self._pool = pool
        self._known: set[str] = set()

    async def note(self, carrier_code: str, outcomes: Iterable[Outcome]) -> None:
        """Keep that ``carrier_code`` is live, where one of ``outcomes`` tells of a scan."""
        if carrier_code in self._known:
            return
        if any(isinstance(one, Found) and one.scans for one in outcomes):
            await retrying(
                lambda: self._pool.execute(
                    "INSERT INTO carrier_live (carrier_code) VALUES ($1) ON CONFLICT DO NOTHING",
                    carrier_code,
                )
            )
            self._known.add(carrier_code)


async def live_since(pool: Pool) -> dict[str, datetime]:
    """Since when each carrier is live; no entry for one that is not."""
    rows = await retrying(lambda: pool.fetch("SELECT carrier_code, live_since FROM carrier_live"))
    return {row["carrier_code"]: row["live_since"] for row in rows}
