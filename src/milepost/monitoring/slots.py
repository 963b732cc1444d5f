"""Carrier quotas: start times handed out one by one, over all workers and accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.db.pool import Pool, retrying

HORIZON = timedelta(seconds=1)
"""How far ahead a slot is worth waiting for with the lane in hand."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A start time towards a carrier; not ``granted`` means: come back after ``wait``.

    ``wait`` is what to go by: it needs no agreement between this machine's clock and another's.
    """

    granted: bool
    start_at: datetime
    wait: timedelta


async def take(pool: Pool, carrier_code: str, owner: str, gap: timedelta) -> Slot:
    """The next slot of ``owner`` at a carrier, if it starts within the horizon.

    Where there is no limit (``gap`` zero) it starts at once, unless the carrier is on ``hold``.
    """
    row = await retrying(
        lambda: pool.fetchrow(
            "SELECT granted, start_at, wait FROM take_carrier_slot($1, $2, $3, $4)",
            carrier_code,
            owner,
            gap,
            HORIZON,
        )
    )
    assert row is not None  # noqa: S101 - a function with OUT parameters gives one row
    return Slot(row["granted"], row["start_at"], max(timedelta(), row["wait"]))


async def hold(pool: Pool, carrier_code: str, owner: str, seconds: float) -> None:
    """Give no slots for ``seconds``: the carrier said Retry-After to this credential."""
    await retrying(
        lambda: pool.execute(
            "SELECT hold_carrier($1, $2, $3)", carrier_code, owner, timedelta(seconds=seconds)
        )
    )
