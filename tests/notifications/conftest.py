"""The notifications room on a real database."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.notifications.receiver import Receiver, receiving
from tests.notifications.town import Town, say

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.notifications.fan_out import FanOut
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer


@pytest.fixture
def secret_keys() -> SecretKeys:
    return SecretKeys((b"k" * 40,))


@pytest.fixture
def renderer(worker_pool: Pool, catalogue: Catalogue, secret_keys: SecretKeys) -> Renderer:
    return Renderer(catalogue, CredentialStore(worker_pool, secret_keys), 30)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def town(worker_pool: Pool, renderer: Renderer, account: int) -> Town:
    return Town(
        worker_pool,
        account,
        Registrar(worker_pool, renderer, timedelta(days=120)),
        Recorder(worker_pool, renderer),
        FanOut(worker_pool, renderer, say),
    )
