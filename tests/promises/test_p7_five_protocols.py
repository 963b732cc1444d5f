"""P7 by the protocols of five carriers: OAuth 2, HTTP Basic, a key, a SOAP login, and a batch.

Two worker processes, quotas of this test's, and servers that speak as each carrier does and note
arrivals by the kernel's clock, logins included. ``P7_SECONDS`` (5) is how long; parcels are as many
as the quotas bear in half of it.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from tests.loopback.server import CarrierServer, all_sides, asked_in
from tests.monitoring.stopwatch_carrier import Ledger, stopwatch_carrier
from tests.parcels.conftest import registration
from tests.promises.figures import keep
from tests.promises.test_p7_five_carriers import WORKERS, never_asked

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings

SECONDS = float(os.environ.get("P7_SECONDS", "5"))
RATES = {"ups": 8, "bpost": 12, "postnl": 16, "dpd": 20, "fedex": 24}
REREGISTER = timedelta(days=120)
SIDES = all_sides()
pytestmark = [pytest.mark.promise, pytest.mark.timeout(400 + 9 * SECONDS)]


def numbers(code: str) -> list[str]:
    """The parcels a carrier knows, and others it does not: fourteen digits, as DPD wants them."""
    others = int(RATES[code] * SECONDS / 2)
    return [*SIDES[code].known(), *(f"{others + place:014}" for place in range(others))]


async def register(app_pool: Pool, admin_pool: Pool, account: int, settings: Settings) -> None:
    keys = SecretKeys((b"k" * 40,))
    renderer = Renderer(Catalogue.load(), CredentialStore(app_pool, keys), settings.early_scan_days)
    registrar = Registrar(app_pool, renderer, REREGISTER)
    for code in RATES:
        login = {**SIDES[code].login, **SIDES[code].more}
        await CredentialStore(admin_pool, keys).set_for_operator(code, login)
        for number in numbers(code):
            new = registration(tracking_number=number, carrier_code=code)
            await registrar.register(account, new)


@contextmanager
def speaking(code: str) -> Iterator[tuple[CarrierServer, Ledger]]:
    """One carrier on a port of its own, asked under its documented host."""
    server = CarrierServer({code: SIDES[code]()})
    (host,) = server.routes

    def answer(head: bytes, body: bytes) -> tuple[int, bytes]:
        told = server.tell(host, asked_in(head, body))
        return told.status, told.body

    with stopwatch_carrier(answer) as ledger:
        yield server, ledger


async def test_no_carrier_is_flooded_by_its_own_protocol(
    dsn: str, app_pool: Pool, admin_pool: Pool, account: int, settings: Settings
) -> None:
    await register(app_pool, admin_pool, account, settings)
    with ExitStack() as stack:
        spoken = {code: stack.enter_context(speaking(code)) for code in RATES}
        doors = [f"{code}:{spoken[code][1].port}:{rate}" for code, rate in RATES.items()]
        arguments = ["-m", "tests.promises.asking_loopback", dsn, str(SECONDS), "60", *doors]
        # On a machine that does much else the workers are given the time again.
        for _ in range(8):
            workers = [
                await asyncio.create_subprocess_exec(sys.executable, *arguments)
                for _ in range(WORKERS)
            ]
            assert [await worker.wait() for worker in workers] == [0] * WORKERS
            if not await never_asked(dsn):
                break
    most = {code: ledger.most_in(1.0) for code, (_, ledger) in spoken.items()}
    sides = {code: server.sides[code] for code, (server, _) in spoken.items()}
    keep(
        "P7 five protocols",
        seconds=SECONDS,
        parcels={code: len(numbers(code)) for code in RATES},
        requests={code: len(ledger.asked) for code, (_, ledger) in spoken.items()},
        tokens={code: side.grants.given for code, side in sides.items()},
        limits=RATES,
        most_in_a_second=most,
        forgotten=await never_asked(dsn),
    )
    assert await never_asked(dsn) == 0
    assert [server.faults for server, _ in spoken.values()] == [[]] * len(RATES)
    assert all(most[code] <= rate for code, rate in RATES.items()), most
    for code, side in sides.items():
        # Each parcel once: it is due again in hours.
        assert side.asked_about == dict.fromkeys(numbers(code), 1), code
    assert all(sides[code].grants.given >= 1 for code in ("ups", "dpd", "fedex"))
    batched = spoken["fedex"][1]
    assert len(batched.asked) < len(numbers("fedex"))
