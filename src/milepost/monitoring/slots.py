"""Carrier quotas: start times handed out one by one, over all workers and accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.db.pool import Pool, retrying

HORIZON = timedelta(seconds=1)
"""How far ahead a slot is worth waiting for with the lane in hand."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A start time towards a carrier; not ``granted`` means: come back at ``start_at``."""

    granted: bool
    start_at: datetime


async def take(pool: Pool, carrier_code: str, owner: str, gap: timedelta) -> Slot:
    """The next slot of ``owner`` at a carrier, if it starts within the horizon."""
    row = await retrying(
        lambda: pool.fetchrow(
            "SELECT granted, start_at FROM take_carrier_slot($1, $2, $3, $4)",
            carrier_code,
            owner,
            gap,
            HORIZON,
        )
    )
    assert row is not None  # noqa: S101 - a function with OUT parameters gives one row
    return Slot(row["granted"], row["start_at"])


async def hold(pool: Pool, carrier_code: str, owner: str, seconds: float) -> None:
    """Give no slots for ``seconds``: the carrier said Retry-After to this credential."""
    await retrying(
        lambda: pool.execute(
            "SELECT hold_carrier($1, $2, $3)", carrier_code, owner, timedelta(seconds=seconds)
        )
    )
