"""The API over parcels kept in memory, and silence."""

import io
from collections.abc import AsyncIterator

import pytest
from tests.api.fake_api import Client, Parcels, application, started

from milepost import observe
from milepost.api.app import Application


@pytest.fixture(autouse=True)
def _quiet() -> None:
    """Unconfigured, structlog would draw every fault with all its locals."""
    observe.configure("test", io.StringIO())


@pytest.fixture
def parcels() -> Parcels:
    return Parcels()


@pytest.fixture
async def app(parcels: Parcels) -> AsyncIterator[Application]:
    async with started(application(parcels)) as running:
        yield running


@pytest.fixture
async def hasty(parcels: Parcels) -> AsyncIterator[Application]:
    """One whose requests have less time than any of them needs."""
    async with started(application(parcels, body_seconds=0.2, request_seconds=0.3)) as running:
        yield running


@pytest.fixture
def client(app: Application) -> Client:
    return Client(app)
