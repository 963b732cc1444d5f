"""One account, and what it takes to tell it something."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.intake.told import Told, knock_of

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.intake.inbox import Inbox
from milepost.intake.tell import Teller
from milepost.monitoring.drift import Drifts
from milepost.monitoring.plan import Planning
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings


@pytest.fixture
def secret_keys() -> SecretKeys:
    return SecretKeys((b"k" * 40,))


@pytest.fixture
def renderer(worker_pool: Pool, catalogue: Catalogue, secret_keys: SecretKeys) -> Renderer:
    return Renderer(catalogue, CredentialStore(worker_pool, secret_keys), 30)


@pytest.fixture
def registrar(worker_pool: Pool, renderer: Renderer) -> Registrar:
    return Registrar(worker_pool, renderer, timedelta(days=120))


@pytest.fixture
def recorder(worker_pool: Pool, renderer: Renderer) -> Recorder:
    return Recorder(worker_pool, renderer, raw_bytes=100_000)


@pytest.fixture
def teller(
    worker_pool: Pool, catalogue: Catalogue, recorder: Recorder, settings: Settings
) -> Teller:
    return Teller(worker_pool, catalogue, recorder, Planning(settings))


@pytest.fixture
async def told(
    worker_pool: Pool,
    admin_pool: Pool,
    secret_keys: SecretKeys,
    catalogue: Catalogue,
    account: int,
    registrar: Registrar,
    teller: Teller,
) -> Told:
    knock = await knock_of(worker_pool, admin_pool, secret_keys, catalogue, account)
    inbox = Inbox(worker_pool, catalogue, teller, Drifts(worker_pool))
    return Told(worker_pool, account, knock, registrar, inbox)


@pytest.fixture
def lay(tmp_path: Path) -> Callable[..., Path]:
    """Lays a file into the folder of account 7 and a carrier."""

    def made(
        name: str, content: str = "number,time,code\n", account: int = 7, carrier: str = "slowpost"
    ) -> Path:
        path = tmp_path / str(account) / carrier / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return made
