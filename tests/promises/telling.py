"""An account whose subscribers are sockets, and what tells them, as it runs in a worker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from tests.egress.receivers import HERE
from tests.notifications.town import Town

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, open_pool
from milepost.egress.client import Bounds, GuardedClient
from milepost.errors import DatabaseUnavailable
from milepost.notifications.bodies import Bodies
from milepost.notifications.deliver import Deliverer
from milepost.notifications.fan_out import FanOut
from milepost.notifications.forms import Kind
from milepost.notifications.terms import Terms
from milepost.notifications.webhooks import Webhooks
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings
from milepost.worker import notifying

KEYS = SecretKeys((b"k" * 40,))


def open_town(pool: Pool, catalogue: Catalogue, account: int) -> Town:
    """With the published bodies."""
    renderer = Renderer(catalogue, CredentialStore(pool, KEYS), 30)
    return Town(
        pool,
        account,
        Registrar(pool, renderer, timedelta(days=120)),
        Recorder(pool, renderer),
        FanOut(pool, renderer, Bodies()),
    )


@dataclass
class Telling:
    """A worker's part that tells, running."""

    client: GuardedClient
    deliverer: Deliverer
    stop: asyncio.Event


@asynccontextmanager
async def telling(
    dsn: str, catalogue: Catalogue, terms: Terms, bounds: Bounds
) -> AsyncIterator[Telling]:
    """Fans out and delivers; who still waits for an answer at the end is interrupted."""
    async with (
        GuardedClient(HERE, bounds) as client,
        await open_pool(dsn, "milepost_worker", Settings(), max_size=6) as pool,
    ):
        sender = Webhooks(client, KEYS)
        deliverer = Deliverer(pool, {Kind.WEBHOOK: sender, Kind.INTEGRATION: sender}, terms)
        fan_out = FanOut(pool, Renderer(catalogue, CredentialStore(pool, KEYS), 30), Bodies())
        made = Telling(client, deliverer, asyncio.Event())
        loop = asyncio.create_task(
            notifying.tell(pool, fan_out, made.deliverer, made.stop, _survived)
        )
        try:
            yield made
        finally:
            made.stop.set()
            await client.close()
            await loop


@contextlib.contextmanager
def _survived(what: str) -> Iterator[None]:
    """As in a worker; but only of the database, for nothing else may happen."""
    with contextlib.suppress(DatabaseUnavailable):
        yield
