"""One real installation for all tests of the door, and two accounts of it."""

from collections.abc import Iterator

import pytest
from tests.live_server import Client, Server, running


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def acme(server: Server) -> Client:
    return server.account("acme")


@pytest.fixture(scope="session")
def rival(server: Server) -> Client:
    return server.account("rival")
