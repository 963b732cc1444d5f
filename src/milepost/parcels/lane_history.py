"""What a lane's past teaches: learnt now and then by one worker, believed by all for a while."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from milepost.accounts.recent import Recent
from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels.find import QUERIES
from milepost.tracking.lane_statistics import (
    LaneStatistics,
    Sample,
    from_document,
    learn,
    to_document,
)
from milepost.tracking.vocabulary import Phase

BELIEVED_SECONDS = 900.0
MOST_LANES = 10_000
SAMPLES = 400
"""The parcels that ended last: so much is read, however long a lane's past is."""
FEWEST = 30
"""Of so many parcels between two countries a statistic of their own is made."""

ALL = ("", "")
"""In place of two countries: all of a carrier's parcels."""

_Statistics = Mapping[tuple[str, str], LaneStatistics]


class LaneHistories:
    """The statistics of any lane, remembered for a quarter of an hour."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._recent: Recent[_Statistics] = Recent(BELIEVED_SECONDS, MOST_LANES)

    async def of(
        self, account_id: int, carrier_code: str, origin: str, destination: str
    ) -> LaneStatistics | None:
        """Of the parcels between two countries, else of all at the carrier; None: none yet."""
        known = await self._recent.find(
            f"{account_id} {carrier_code}".encode(),
            lambda: retrying(lambda: self._read(account_id, carrier_code)),
        )
        return known.get((origin, destination)) or known.get(ALL)

    async def _read(self, account_id: int, carrier_code: str) -> _Statistics:
        async with tenant(self._pool, account_id) as conn:
            rows = QUERIES.lane_histories(conn, account_id=account_id, carrier_code=carrier_code)
            return {
                (row["origin_country"], row["destination_country"]): from_document(
                    row["statistics"]
                )
                async for row in rows
            }


async def learn_lane(pool: Pool, account_id: int, carrier_code: str, zone: str) -> int:
    """Learn from a lane's latest parcels and keep it; how many parcels there were.

    ``zone`` is the carrier's clock.
    """
    rows = await retrying(
        lambda: pool.fetch(
            "SELECT * FROM lane_samples($1, $2, $3)", account_id, carrier_code, SAMPLES
        )
    )
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for row in rows:
        one = Sample(
            row["announced_at"], row["first_scan_at"], row["delivered_at"], _scans(row["scans"])
        )
        samples[ALL].append(one)
        samples[row["origin_country"], row["destination_country"]].append(one)
    learnt = {
        countries: learn(ended, zone)
        for countries, ended in samples.items()
        if countries == ALL or len(ended) >= FEWEST
    }
    if learnt:
        await retrying(lambda: _keep(pool, account_id, carrier_code, learnt))
    return len(rows)


async def _keep(pool: Pool, account_id: int, carrier_code: str, learnt: _Statistics) -> None:
    async with tenant(pool, account_id) as conn:
        for (origin, destination), statistics in learnt.items():
            await QUERIES.keep_lane_history(
                conn,
                account_id=account_id,
                carrier_code=carrier_code,
                origin_country=origin,
                destination_country=destination,
                learnt_at=datetime.now(UTC),
                statistics=to_document(statistics),
            )


def _scans(document: Sequence[Any] | None) -> list[tuple[datetime, Phase]]:
    return [(datetime.fromisoformat(at), Phase(phase)) for at, phase in document or ()]
