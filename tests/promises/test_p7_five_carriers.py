"""P7: no parcel is forgotten over five carriers, and none of them is asked too often.

Two worker processes, five carriers with quotas of their own that note arrivals by the kernel's
clock. ``P7_SECONDS`` (5) is how long; parcels are as many as the quotas bear in two thirds of it.
Plans, leases, clocks and the breaker have tests of their own beside ``tests/monitoring``.
"""

import asyncio
import os
import sys
from contextlib import ExitStack
from datetime import timedelta

import asyncpg
import pytest
from tests.conftest import execute
from tests.monitoring.stopwatch_carrier import Ledger, stopwatch_carrier
from tests.parcels.conftest import registration
from tests.promises.asking_five import CODES
from tests.promises.figures import keep

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer

SECONDS = float(os.environ.get("P7_SECONDS", "5"))
RATES = (8, 12, 16, 20, 24)
PER_PARCEL = 2
"""Requests."""
WORKERS = 2
NEVER_ASKED = "SELECT count(*) FROM watch WHERE last_checked_at IS NULL"
pytestmark = [pytest.mark.promise, pytest.mark.timeout(90 + 3 * SECONDS)]


def wanted(rate: int) -> int:
    """Parcels of the carrier with that quota: more than one claim may take at once."""
    return int(rate * SECONDS * 2 / 3 / PER_PARCEL)


async def register(app_pool: Pool, admin_pool: Pool, account: int) -> int:
    """Parcels with each carrier; how many."""
    keys = SecretKeys((b"k" * 40,))
    credentials = CredentialStore(admin_pool, keys)
    renderer = Renderer(Catalogue.load(), CredentialStore(app_pool, keys), 30)
    registrar = Registrar(app_pool, renderer, timedelta(days=120))
    for code, rate in zip(CODES, RATES, strict=True):
        await credentials.set_for_operator(code, {"api_key": "x"})
        for number in range(wanted(rate)):
            new = registration(tracking_number=f"N{number}", carrier_code=code)
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


async def test_no_parcel_is_forgotten_and_no_carrier_flooded(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int
) -> None:
    registered = await register(app_pool, admin_pool, account)
    ledgers = await ask(dsn, SECONDS)
    forgotten = await never_asked(dsn)
    most = [one.most_in(1.0) for one in ledgers]
    asked = [one.count("/track") for one in ledgers]
    keep(
        "P7 five carriers",
        seconds=SECONDS,
        parcels=registered,
        forgotten=forgotten,
        limits=RATES,
        most_in_a_second=most,
        asked=asked,
    )
    assert forgotten == 0
    assert all(count <= rate for count, rate in zip(most, RATES, strict=True)), most
    # Nobody was asked about one parcel twice: it is due again in hours.
    assert asked == [wanted(rate) for rate in RATES]


async def test_a_lane_that_loses_its_turn_is_seen(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int
) -> None:
    """The planted fault: after a claim nobody knows that more is due."""
    await register(app_pool, admin_pool, account)
    await execute(
        dsn,
        "CREATE OR REPLACE FUNCTION earliest_due(p_account bigint, p_carrier text)"
        " RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
    )
    await ask(dsn, 2)
    forgotten = await never_asked(dsn)
    keep("P7 broken twin: turns are lost", forgotten=forgotten)
    assert forgotten > 0


async def never_asked(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(NEVER_ASKED))
    finally:
        await connection.close()
