"""One account on a real database, with several recorders that write at once."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from tests.conftest import execute
from tests.parcels.conftest import registration
from tests.tracking.order_free import START

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool, open_pool, tenant
from milepost.errors import DatabaseUnavailable
from milepost.parcels.record import Recorder
from milepost.parcels.register import Registrar
from milepost.parcels.render import Renderer
from milepost.settings import Settings
from milepost.tracking.calculated import Thresholds
from milepost.tracking.events import Observation


@dataclass(frozen=True, slots=True)
class House:
    """One account, one registrar, several recorders with connections of their own."""

    account: int
    pool: Pool
    registrar: Registrar
    recorders: Sequence[Recorder]

    async def parcel(self, number: str = "") -> int:
        """A new parcel's id; Conflict where ``number`` is taken."""
        named = {"tracking_number": number} if number else {}
        new = registration(carrier_code="sandbox", announced_at=START, **named)
        await self.registrar.register(self.account, new)
        async with tenant(self.pool, self.account) as conn:
            return int(await conn.fetchval("SELECT max(parcel_id) FROM parcel"))

    async def tell(self, parcel_id: int, told: Sequence[Observation], dice: random.Random) -> None:
        """All of ``told``, by all recorders at once, each in an order of its own."""

        async def by(recorder: Recorder) -> None:
            for observation in dice.sample(told, k=len(told)):
                await self.record(recorder, parcel_id, observation)

        await asyncio.gather(*(by(recorder) for recorder in self.recorders))

    async def record(self, recorder: Recorder, parcel_id: int, observation: Observation) -> None:
        """Until it is written, however many write at once."""
        while True:
            try:
                now = datetime.now(UTC)
                await recorder.record(
                    self.account, parcel_id, observation, now, lambda _journey, _parcel: None
                )
            except DatabaseUnavailable:
                continue
            return


@asynccontextmanager
async def open_house(
    dsn: str,
    account: int,
    settings: Settings,
    *,
    recorders: int,
    renders: type[Renderer] = Renderer,
) -> AsyncIterator[House]:
    """``renders`` is what the recorders read journeys with; planted faults are another."""
    async with AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(
                await open_pool(dsn, "milepost_worker", settings, max_size=2)
            )
            for _ in range(recorders)
        ]
        app = await stack.enter_async_context(await open_pool(dsn, "milepost_app", settings))
        keys, catalogue = SecretKeys((b"k" * 40,)), Catalogue.load()

        def renderer(pool: Pool) -> Renderer:
            return renders(catalogue, CredentialStore(pool, keys), 30)

        # These journeys are of long ago: their numbers would be free again,
        # and all that is overdue on them is no part of these promises.
        registrar = Registrar(app, renderer(app), reregister_after=timedelta(days=36_500))
        writers = [Recorder(pool, renderer(pool), late=Thresholds.never()) for pool in pools]
        yield House(account, app, registrar, writers)


async def break_guard(dsn: str) -> None:
    """The planted fault: who read an old state overwrites a newer one."""
    connection = await asyncpg.connect(dsn)
    source = await connection.fetchval(
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'record_observation'"
    )
    await connection.close()
    broken, made = re.subn(r"AND p\.revision = p_revision", "", source)
    assert made == 1
    await execute(
        dsn,
        "ALTER TABLE event DROP CONSTRAINT event_pkey",
        "ALTER TABLE event DROP CONSTRAINT event_account_id_parcel_id_event_key_key",
        broken,
    )
