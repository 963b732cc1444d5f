"""The notifications room on a real database."""

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.notifications.mail_town import (
    SOON,
    Mailing,
    Post,
    PostOffice,
    post_office,
    server_of,
    settings_for,
)
from tests.notifications.receiver import Receiver, receiving
from tests.notifications.town import Town, say

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.notifications.fan_out import FanOut
from milepost.notifications.mail_client import MailClient
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


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office(PostOffice()) as listening:
        yield listening


@pytest.fixture
async def mailing(
    town: Town, secret_keys: SecretKeys, office: PostOffice
) -> AsyncIterator[Mailing]:
    """The worker's half, with settings of a test's own."""
    clients = []

    def made(context: ssl.SSLContext | None = None, seconds: float = 5.0, **more: Any) -> Post:
        terms = more.pop("terms", SOON)
        server = server_of(office, **more)
        clients.append(MailClient(server, context, seconds=seconds, rest=0.0))
        return Post(town, secret_keys, clients[-1], settings_for(office, **more), terms)

    yield made
    for client in clients:
        client._hang_up()
