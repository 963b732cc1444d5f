"""Carrier quotas: start times handed out one by one, over all workers and accounts."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.db.pool import Pool, retrying

HORIZON = timedelta(seconds=1)
"""How far ahead a slot is worth waiting for with the lane in hand."""


@dataclass(frozen=True, slots=True)
class Slots:
    """``granted`` start times, the first at ``start_at``; none: come back after ``wait``.

    ``wait`` is what to go by: it needs no agreement between this machine's clock and another's.
    """

    granted: int
    start_at: datetime
    wait: timedelta


async def take(pool: Pool, carrier_code: str, owner: str, gap: timedelta, most: int = 1) -> Slots:
    """Up to ``most`` slots of ``owner`` at a carrier, ``gap`` apart, within the horizon.

    Where there is no limit (``gap`` zero) all start at once, unless the carrier is on ``hold``.
    """
    row = await retrying(
        lambda: pool.fetchrow(
            "SELECT granted, start_at, wait FROM take_carrier_slots($1, $2, $3, $4, $5)",
            carrier_code,
            owner,
            gap,
            HORIZON,
            most,
        )
    )
    assert row is not None  # noqa: S101 - a function with OUT parameters gives one row
    return Slots(row["granted"], row["start_at"], max(timedelta(), row["wait"]))


async def give_back(
    pool: Pool, carrier_code: str, owner: str, gap: timedelta, taken: Slots, unused: int
) -> None:
    """Return the last ``unused`` of ``taken``, unless others have taken later ones already."""
    await retrying(
        lambda: pool.execute(
            "SELECT return_carrier_slots($1, $2, $3, $4, $5, $6)",
            carrier_code,
            owner,
            gap,
            taken.start_at,
            taken.granted,
            unused,
        )
    )


async def hold(pool: Pool, carrier_code: str, owner: str, seconds: float) -> None:
    """Give no slots for ``seconds``: the carrier said Retry-After to this credential."""
    await retrying(
        lambda: pool.execute(
            "SELECT hold_carrier($1, $2, $3)", carrier_code, owner, timedelta(seconds=seconds)
        )
    )
