"""One real server for all contract tests, and the requests they start from."""

import copy
import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.live_server import Client, Server, running

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def client(server: Server) -> Client:
    """A key without rate limits."""
    return server.account("contract")


@pytest.fixture
def fresh() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A copy of a registration with a number and source_id of its own."""

    def make(example: dict[str, Any]) -> dict[str, Any]:
        own = copy.deepcopy(example)
        number = next(_numbers)
        own["source_id"] = f"contract-{number}"
        own["tracking_number"]["tracking_number"] = f"CONTRACT{number:06d}"
        own["tracking_number"].pop("tracking_identifier", None)
        return own

    return make


@pytest.fixture
def minimal() -> dict[str, Any]:
    """What the guide and the schema agree to be required, and nothing else."""
    return {
        "announced_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "source_id": f"minimal-{next(_numbers)}",
        "from_address": {"country_code": "NL", "postal_code": "5611EM"},
        "to_address": {"country_code": "DE", "postal_code": "10115"},
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "postnl:standard"},
        },
        "tracking_number": {
            "carrier_code": "postnl",
            "tracking_number": f"MINIMAL{next(_numbers):06d}",
        },
    }
