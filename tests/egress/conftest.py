"""Clients that may call this machine."""

from collections.abc import AsyncIterator

import pytest
from tests.egress.receivers import HERE

from milepost.egress.client import Bounds, GuardedClient


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(HERE) as made:
        yield made


@pytest.fixture
async def impatient() -> AsyncIterator[GuardedClient]:
    async with GuardedClient(HERE, Bounds(total_seconds=3, connect_seconds=2)) as made:
        yield made
