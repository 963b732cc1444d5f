"""What size costs: GET and POST among many parcels, claims among many due ones."""

import time
from datetime import timedelta
from statistics import median

from bench.clones import CARRIER, Copies, copy
from bench.house import api_server
from bench.reads import V3, look_up
from bench.rows import Row, paired
from bench.run import Filled, Run
from bench.writes import registering
from milepost.db.pool import open_pool
from milepost.monitoring.claim import Lane, claim

_CLAIMED = 200


async def rows(run: Run, few: Filled, many: Filled) -> list[Row]:
    """The same requests and claims in a small database and in a large one."""
    return await run.each(
        {
            "GET and POST among many": lambda: _requests(run, few, many),
            "claims among many": lambda: _claims(run, few, many),
        }
    )


async def _requests(run: Run, few: Filled, many: Filled) -> list[Row]:
    run.say(f"GET and POST at {few.parcels:,} and at {many.parcels:,} parcels")
    costs: dict[tuple[str, int], list[float]] = {}
    with api_server(few.database) as small, api_server(many.database) as large:
        for turn in range(run.scale.pairs + 1):
            for server, filled in ((small, few), (large, many)):
                seconds, first = run.scale.seconds, 500_000_000 + turn * 20_000_000
                orders = {
                    "GET": look_up(server, V3, filled.merchant, filled.parcels, seconds),
                    "POST": registering(server, filled.merchant, first, seconds),
                }
                for name, order in orders.items():
                    cost, _ = await run.loaded(order, server.pid, run.house.postgres)
                    if turn:
                        # The first turn of each warms its server and its caches.
                        costs.setdefault((name, filled.parcels), []).append(cost)
    return [
        Row(
            f"{name} at {many.parcels:,} parcels, of its speed at {few.parcels:,}",
            paired(costs[name, few.parcels], costs[name, many.parcels]),
            0.85,
            told=f"{median(costs[name, many.parcels]):.0f} us of CPU a request with PostgreSQL's, "
            f"{median(costs[name, few.parcels]):.0f} among few",
        )
        for name in ("GET", "POST")
    ]


async def _claims(run: Run, few: Filled, many: Filled) -> list[Row]:
    scale = run.scale
    run.say(f"claiming {_CLAIMED} at {scale.few_due:,} and at {scale.many_due:,} due")
    async with run.house.filling():
        lanes = [await _due(few, scale.few_due), await _due(many, scale.many_due)]
    seconds: tuple[list[float], list[float]] = ([], [])
    pools = [
        await open_pool(filled.database.dsn, "milepost_worker", filled.database.settings)
        for filled in (few, many)
    ]
    try:
        for turn in range(scale.claims + 1):
            for place, (pool, lane) in enumerate(zip(pools, lanes, strict=True)):
                started = time.perf_counter()
                rows = await claim(pool, lane, _CLAIMED, timedelta(minutes=5))
                if turn:
                    seconds[place].append(time.perf_counter() - started)
                if len(rows) != _CLAIMED:
                    raise RuntimeError(f"{len(rows)} rows were claimed instead of {_CLAIMED}")
    finally:
        for pool in pools:
            await pool.close()
    told = f"{1000 * median(seconds[1]):.1f} ms and {1000 * median(seconds[0]):.1f} ms"
    what = f"claim of {_CLAIMED} at {scale.many_due:,} due, beside {scale.few_due:,}"
    return [Row(what, paired(seconds[1], seconds[0]), 1.3, "x", at_most=True, told=told)]


async def _due(filled: Filled, count: int) -> Lane:
    """An account of its own whose parcels are all due, one after the other."""
    merchant = await filled.database.merchant("late")
    copies = Copies(
        filled.merchant.account_id,
        filled.template,
        count,
        first=600_000_000,
        owner=merchant.account_id,
        events=0,
        slim=True,
        due="now() - (n - 600000000) * interval '1 ms'",
    )
    await copy(filled.database, copies)
    return Lane(merchant.account_id, CARRIER)
