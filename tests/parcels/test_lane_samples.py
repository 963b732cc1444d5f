"""Which of a lane's past parcels it is learnt from."""

import pytest

from milepost.db.pool import Pool, tenant

FILL = """
INSERT INTO parcel_timing (account_id, parcel_id, carrier_code, origin_country, destination_country,
    registered_at, announced_at, first_scan_at, delivered_at, ended_at)
SELECT $1, n, 'dhl', 'NL', 'NL', now() - interval '60 d', now() - interval '60 d', now(),
       now() - n * $3::interval, now() - n * $3::interval
FROM generate_series(1, $2::integer) AS n
"""
SAMPLES = """
SELECT count(*), extract(epoch FROM now() - min(delivered_at))::float8 / 86400 AS days
FROM lane_samples($1, 'dhl', 100)
"""


@pytest.mark.parametrize(
    ("parcels", "minutes", "least", "days"),
    [
        (90, 60, 90, (3, 4)),
        (2000, 20, 95, (26, 28)),
        (5000, 20, 95, (26, 28.1)),
        (500, 20, 80, (5, 7)),
    ],
    ids=["few", "four weeks", "longer", "a young lane"],
)
async def test_samples_are_spread_over_four_weeks(
    worker_pool: Pool,
    account: int,
    parcels: int,
    minutes: int,
    least: int,
    days: tuple[float, float],
) -> None:
    """The last hundred alone would be those of a day or two."""
    async with tenant(worker_pool, account) as connection:
        await connection.execute(FILL.replace("$3", f"'{minutes} min'"), account, parcels)
        found = await connection.fetchrow(SAMPLES, account)
    assert found is not None
    assert least <= found["count"] <= 100
    assert days[0] < found["days"] < days[1]
