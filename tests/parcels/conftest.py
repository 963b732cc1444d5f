"""The parcels room on a real database."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.parcels.find import Reader
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.tracking.parcel import Registration

_serials = count(1)
ANNOUNCED = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ADDRESS = {"country_code": "NL", "postal_code": "5611 EM", "name": "Mira Vos"}


def registration(**changes: Any) -> Registration:
    """A registration with a number of its own unless ``changes`` say otherwise."""
    serial = next(_serials)
    number = changes.pop("tracking_number", f"JVGL{serial:020d}")
    carrier = changes.pop("carrier_code", "dhl")
    source = changes.pop("source_id", f"order-{serial}")
    announced = changes.pop("announced_at", ANNOUNCED)
    document = {
        "from_address": ADDRESS,
        "to_address": ADDRESS,
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": "dhl:parcel"},
        },
        "details": {},
        "tracking_number": {"carrier_code": carrier, "tracking_number": number},
    }
    document["tracking_number"] |= changes.pop("tracking", {})
    return Registration(carrier, number, source, announced, document | changes)


@pytest.fixture
def secret_keys() -> SecretKeys:
    return SecretKeys((b"k" * 40,))


@pytest.fixture
def renderer(app_pool: Pool, catalogue: Catalogue, secret_keys: SecretKeys) -> Renderer:
    return Renderer(catalogue, CredentialStore(app_pool, secret_keys), 30)


@pytest.fixture
def registrar(app_pool: Pool, renderer: Renderer) -> Registrar:
    return Registrar(app_pool, renderer, timedelta(days=120))


@pytest.fixture
def reader(app_pool: Pool, renderer: Renderer) -> Reader:
    return Reader(app_pool, renderer)


@pytest.fixture
def recorder(app_pool: Pool, renderer: Renderer) -> Recorder:
    return Recorder(app_pool, renderer)
