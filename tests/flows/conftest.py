"""The rooms put together as the worker and the API have them, on a real database."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.fetcher import Fetcher
from milepost.carriers.registry import Catalogue
from milepost.carriers.simulator import simulator
from milepost.db.pool import Pool
from milepost.monitoring import slots
from milepost.monitoring.check import Checker
from milepost.monitoring.claim import Lane, due_lanes, wake
from milepost.monitoring.plan import Planning
from milepost.parcels.find import Reader
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings


@dataclass(frozen=True, slots=True)
class House:
    """One account's view of a running Milepost without its processes."""

    account: int
    app_pool: Pool
    worker_pool: Pool
    catalogue: Catalogue
    credentials: CredentialStore
    registrar: Registrar
    reader: Reader
    recorder: Recorder
    checker: Checker
    fetcher: Fetcher

    async def check_everything(self, carrier_code: str) -> int:
        """Make a lane's parcels due and check them; how many were asked about."""
        lane = Lane(self.account, carrier_code)
        await wake(self.worker_pool, lane)
        return await self.checker.check(lane)

    async def due(self) -> list[Lane]:
        return await due_lanes(self.worker_pool, 100)


@pytest.fixture
def secret_keys() -> SecretKeys:
    return SecretKeys((b"k" * 40,))


@pytest.fixture
async def house(
    app_pool: Pool,
    worker_pool: Pool,
    account: int,
    settings: Settings,
    secret_keys: SecretKeys,
    catalogue: Catalogue,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[House]:
    # However late a busy machine is: what it misses five times in a row it would not ask at all.
    monkeypatch.setattr(slots, "LATE", 30.0)
    async with simulator(catalogue) as routes, Fetcher(routes=routes) as fetcher:
        app_credentials = CredentialStore(app_pool, secret_keys)
        worker_credentials = CredentialStore(worker_pool, secret_keys, keep_seconds=0)
        app_renderer = Renderer(catalogue, app_credentials, 30)
        worker_renderer = Renderer(catalogue, worker_credentials, 30)
        recorder = Recorder(worker_pool, worker_renderer)
        yield House(
            account=account,
            app_pool=app_pool,
            worker_pool=worker_pool,
            catalogue=catalogue,
            credentials=app_credentials,
            registrar=Registrar(app_pool, app_renderer, timedelta(days=120)),
            reader=Reader(app_pool, app_renderer),
            recorder=recorder,
            checker=Checker(
                worker_pool,
                catalogue,
                worker_credentials,
                recorder,
                fetcher,
                Planning(settings),
                timedelta(seconds=60),
            ),
            fetcher=fetcher,
        )
