"""One account with a lane at a carrier that answers what a test wants."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tests.monitoring.still import NOW, PARCELS
from tests.parcels.conftest import registration
from tests.stopped_clock import put, stopped

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import Credential, Item, NotFound, Outcome
from milepost.carriers.exchange import Asks
from milepost.carriers.fetcher import Fetcher, Line
from milepost.carriers.registry import Carrier, Catalogue
from milepost.db.pool import Pool, tenant
from milepost.monitoring.check import Checker
from milepost.monitoring.claim import Lane
from milepost.monitoring.deadlines import Deadlines
from milepost.monitoring.plan import Planning
from milepost.parcels.find import Reader
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings


@dataclass
class House:
    """One account with a lane at a carrier that answers what a test wants."""

    pool: Pool
    account: int
    registrar: Registrar
    reader: Reader
    checker: Checker
    credentials: CredentialStore
    catalogue: Catalogue
    deadlines: Deadlines
    answer: Callable[[Item], Outcome] = lambda _: NotFound()

    async def register(self, **changes: Any) -> str:
        wanted = registration(**changes)
        await self.registrar.register(self.account, wanted)
        return wanted.tracking_number

    async def lane(self, carrier_code: str = "sandbox") -> Lane:
        async with tenant(self.pool, self.account) as connection:
            state = await connection.fetchval(
                "SELECT state FROM lane WHERE carrier_code = $1", carrier_code
            )
        return Lane(self.account, carrier_code, state)

    async def check(self, carrier_code: str = "sandbox") -> int:
        return await self.checker.check(await self.lane(carrier_code))

    async def run(self, statement: str, *arguments: Any) -> Any:
        async with tenant(self.pool, self.account) as connection:
            return await connection.fetchval(statement, *arguments)

    async def epoch(self) -> int:
        return int(await self.run("SELECT render_epoch FROM account"))

    async def monitoring(self, number: str) -> str:
        found = await self.reader.read(self.account, number, None, await self.epoch())
        assert found is not None
        return str(json.loads(found.body)["monitoring"]["state"])


@dataclass
class Answers:
    """A connector that waits for its slots as a request would, and gives the house's answer."""

    house: House

    async def ask(
        self, items: Sequence[Item], credential: Credential, carrier: Asks
    ) -> Mapping[Item, Outcome]:
        assert isinstance(carrier, Line)
        outcomes = {}
        for item in items:
            slot = carrier.slot()
            await slot.near()
            await slot.start()
            outcomes[item] = self.house.answer(item)
        return outcomes


@pytest.fixture
def secret_keys() -> SecretKeys:
    return SecretKeys((b"k" * 40,))


@pytest.fixture
async def house(
    worker_pool: Pool,
    account: int,
    secret_keys: SecretKeys,
    settings: Settings,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> House:
    credentials = CredentialStore(worker_pool, secret_keys)
    renderer = Renderer(catalogue, credentials, 30)
    checker = Checker(
        worker_pool,
        catalogue,
        credentials,
        Recorder(worker_pool, renderer),
        Fetcher(),
        Planning(settings),
        timedelta(seconds=60),
    )
    made = House(
        worker_pool,
        account,
        Registrar(worker_pool, renderer, timedelta(days=120)),
        Reader(worker_pool, renderer),
        checker,
        credentials,
        catalogue,
        Deadlines(worker_pool, catalogue, Recorder(worker_pool, renderer)),
    )
    monkeypatch.setattr(Carrier, "connector", lambda self: Answers(made))
    return made


@pytest.fixture
async def session(
    dsn: str, app_pool: Pool, catalogue: Catalogue, secret_keys: SecretKeys, account: int
) -> AsyncIterator[asyncpg.Connection]:
    renderer = Renderer(catalogue, CredentialStore(app_pool, secret_keys), 30)
    registrar = Registrar(app_pool, renderer, timedelta(days=120))
    for carrier in ("sandbox", "dhl"):
        for _ in range(PARCELS if carrier == "sandbox" else 2):
            await registrar.register(account, registration(carrier_code=carrier))
    async with stopped(dsn) as connection:
        await put(connection, NOW)
        await connection.execute(
            "UPDATE watch SET due_at = $1, fence = parcel_id", NOW - timedelta(hours=9)
        )
        yield connection
