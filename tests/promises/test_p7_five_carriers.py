"""P7: a crowd of parcels over five carriers is asked about on time, and no carrier too often.

Two worker processes, five carriers with quotas of their own that note arrivals by the kernel's
clock. ``P7_SECONDS`` (5) is how long; parcels are ``P7_PARCELS`` (20,000), of which half as many
fall due as the quotas bear. That each is asked about once is tried with the protocols of real
carriers (``test_p7_five_protocols.py``). Plans, leases, clocks and the breaker have tests of their
own beside ``tests/monitoring``.
"""

import asyncio
import os
import re
import sys
import time
from contextlib import ExitStack
from datetime import timedelta

import asyncpg
import pytest
from tests.conftest import execute
from tests.monitoring.stopwatch_carrier import Ledger, stopwatch_carrier
from tests.parcels.conftest import registration
from tests.promises.alarms import EVERY, alarms_of
from tests.promises.asking_five import CODES
from tests.promises.figures import keep
from tests.promises.pile import pile_up

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer

SECONDS = float(os.environ.get("P7_SECONDS", "5"))
PARCELS = int(os.environ.get("P7_PARCELS", "20000"))
LATE_SECONDS = 30
LONG = SECONDS > 2 * LATE_SECONDS
OF_CHECKS = {"MilepostChecksLate", "MilepostLanesHeld", "MilepostBreakerOpen"}
RATES = (8, 12, 16, 20, 24)
PER_PARCEL = 2
"""Requests."""
WORKERS = 2
NEVER_ASKED = "SELECT count(*) FROM watch WHERE last_checked_at IS NULL"
pytestmark = [pytest.mark.promise, pytest.mark.timeout(300 + 3 * SECONDS + PARCELS / 1000)]


def wanted(rate: int) -> int:
    """Parcels of the carrier with that quota: more than one claim may take at once."""
    return int(rate * SECONDS * 2 / 3 / PER_PARCEL)


async def register(app_pool: Pool, admin_pool: Pool, account: int, most: int | None = None) -> int:
    """Parcels with each carrier, ``most`` of each; how many."""
    keys = SecretKeys((b"k" * 40,))
    credentials = CredentialStore(admin_pool, keys)
    renderer = Renderer(Catalogue.load(), CredentialStore(app_pool, keys), 30)
    registrar = Registrar(app_pool, renderer, timedelta(days=120))
    for code, rate in zip(CODES, RATES, strict=True):
        await credentials.set_for_operator(code, {"api_key": "x"})
        for number in range(min(wanted(rate), most or wanted(rate))):
            new = registration(tracking_number=f"N{number}-{code}", carrier_code=code)
            await registrar.register(account, new)
    return sum(map(wanted, RATES))


async def ask(dsn: str, seconds: float) -> list[Ledger]:
    """What each carrier noted while the workers asked."""
    with ExitStack() as stack:
        ledgers = [stack.enter_context(stopwatch_carrier()) for _ in CODES]
        doors = [f"{one.port}:{rate}" for one, rate in zip(ledgers, RATES, strict=True)]
        arguments = ["-m", "tests.promises.asking_five", dsn, str(seconds), "60", *doors]
        workers = [
            await asyncio.create_subprocess_exec(sys.executable, *arguments) for _ in range(WORKERS)
        ]
        assert [await worker.wait() for worker in workers] == [0] * WORKERS
    return ledgers


LATENESS = """
WITH asked AS (
    SELECT extract(epoch FROM last_checked_at)
           - ($2::float8 + (parcel_id - $1::bigint) * $3::float8) AS late
    FROM watch WHERE parcel_id > $1::bigint AND parcel_id <= $1::bigint + $4::bigint
)
SELECT count(late) AS checked, count(*) FILTER (WHERE late < 0) AS early,
       coalesce(max(late), 0)::float8 AS latest,
       coalesce(percentile_cont(0.99) WITHIN GROUP (ORDER BY late), 0)::float8 AS p99
FROM asked
"""


async def test_a_crowd_is_asked_on_time(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int
) -> None:
    """Parcels fall due one after the other, half as fast as the quotas bear."""
    await register(app_pool, admin_pool, account, most=1)
    connection, each = await asyncpg.connect(dsn), PARCELS // len(CODES)
    await connection.execute("UPDATE watch SET due_at = 'infinity'")
    piles = []
    for code, rate in zip(CODES, RATES, strict=True):
        spacing = 2 * PER_PARCEL / rate
        after = f"to_timestamp(n * {spacing})"
        piles.append((await pile_up(connection, f"N0-{code}", each, after), spacing))
    started = await falls_due(connection, each / 2_000)
    beginning = time.time()
    async with alarms_of(dsn, judged=LONG) as alarms:
        ledgers = await ask(dsn, SECONDS)
    asked = sum(one.count("/track") for one in ledgers)
    # What fell due a little before the workers stopped may still have been waiting.
    spared, ran = min(LATE_SECONDS, SECONDS / 2), beginning + SECONDS - started
    told = []
    for first, spacing in piles:
        fell_due = max(0, min(each, int((ran - spared) / spacing)))
        (row,) = await connection.fetch(LATENESS, first, started, spacing, fell_due)
        told.append(dict(row) | {"due": fell_due})
    checked = await connection.fetchval(
        "SELECT count(*) FROM watch WHERE last_checked_at > 'epoch'"
    )
    await connection.close()
    keep(
        "P7 lateness",
        parcels=PARCELS,
        seconds=SECONDS,
        carriers=told,
        asked=asked,
        most_in_a_second=[one.most_in(1.0) for one in ledgers],
        alarms_on_after=alarms.ever_on if alarms else {},
    )
    assert [one["due"] - one["checked"] for one in told] == [0] * len(CODES), told
    assert [one["early"] for one in told] == [0] * len(CODES), told
    assert asked - checked <= 0.001 * asked, (asked, checked)
    assert all(one.most_in(1.0) <= rate for one, rate in zip(ledgers, RATES, strict=True))
    if alarms is not None:
        # Half of what the quotas bear is no trouble. What else a worker does nobody does here.
        assert not OF_CHECKS & set(alarms.ever_on), alarms.ever_on
        assert len(alarms.looks) > SECONDS / 2 / EVERY, "nobody looked"
        assert max(one["p99"] for one in told) <= LATE_SECONDS, told


async def falls_due(connection: "asyncpg.Connection[asyncpg.Record]", soon: float) -> float:
    """From when on what lies there falls due: ``soon`` seconds hence, or when a slow machine is
    ready. What fell due before anybody asks would be more than the quotas bear."""
    before = 0.0
    while True:
        started = time.time() + soon
        await connection.execute(
            "UPDATE watch SET due_at = due_at + $1::interval WHERE due_at < 'infinity'",
            timedelta(seconds=started - before),
        )
        await connection.execute("VACUUM ANALYZE")
        if time.time() < started + 1:
            break
        before, soon = started, 2 * soon
    await asyncio.sleep(started - time.time())
    await connection.execute("UPDATE lane SET turn_at = now()")
    return started


async def test_a_lane_that_loses_its_turn_is_seen(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int
) -> None:
    """The planted fault: after a claim nobody knows that more is due."""
    await register(app_pool, admin_pool, account)
    await forget_what_is_left(dsn)
    await ask(dsn, SECONDS)
    forgotten = await never_asked(dsn)
    keep("P7 broken twin: turns are lost", forgotten=forgotten)
    assert forgotten > 0


async def forget_what_is_left(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    source = await connection.fetchval(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'claim_due'"
    )
    await connection.close()
    broken, made = re.subn(r"coalesce\(last_due, 'infinity'\)", "'infinity'", source)
    assert made == 1
    await execute(dsn, broken)


async def never_asked(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(NEVER_ASKED))
    finally:
        await connection.close()
