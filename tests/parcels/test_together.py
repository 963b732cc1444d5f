"""Registrations of an account that come while one is stored share the next statement."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from tests.parcels.conftest import registration
from tests.parcels.test_register import count

from milepost.accounts.keys import create_account
from milepost.db.pool import Pool
from milepost.errors import Conflict, DatabaseUnavailable
from milepost.parcels import together
from milepost.parcels.draft import Ready
from milepost.parcels.register import Registered, Registrar
from milepost.parcels.together import Together


class Held:
    """Stores through a registrar, each statement as soon as it is let go; notes their sizes."""

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self.sizes: list[int] = []
        self.let_go = asyncio.Event()

    async def store(self, account: int, readies: Sequence[Ready]) -> list[Registered | Conflict]:
        self.sizes.append(len(readies))
        await self.let_go.wait()
        return await self._registrar.register_many(account, readies)


async def asked(held: Held, times: int) -> None:
    """Wait until so many statements were asked for."""
    async with asyncio.timeout(60):
        while len(held.sizes) < times:
            await asyncio.sleep(0.01)


async def ready(registrar: Registrar, account: int, number: str, **more: Any) -> Ready:
    given = registration(tracking_number=number, source_id=number, **more)
    return await registrar.prepare(account, given)


@pytest.fixture
async def other_account(admin_pool: Pool) -> int:
    return (await create_account(admin_pool, "other")).account_id


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PATIENCE_SECONDS", 60.0)


@pytest.mark.usefixtures("patient")
async def test_those_that_come_meanwhile_share_a_statement_and_each_has_its_own_answer(
    account: int, other_account: int, registrar: Registrar, app_pool: Pool
) -> None:
    held = Held(registrar)
    shared = Together(held.store)
    first = shared.store(account, await ready(registrar, account, "A"))
    await asked(held, 1)
    others = [shared.store(account, await ready(registrar, account, number)) for number in "BCAC"]
    foreign = shared.store(other_account, await ready(registrar, other_account, "A"))
    await asked(held, 2)
    assert held.sizes == [1, 1], "another account waits for nobody"
    held.let_go.set()
    told = await asyncio.gather(first, *others, foreign)
    assert held.sizes == [1, 1, 4]
    kinds = [type(one) for one in told]
    assert kinds == [Registered, Registered, Registered, Conflict, Conflict, Registered]
    assert len({one.parcel_id for one in told if isinstance(one, Registered)}) == 4
    assert [one.parcel_id for one in told[3:5]] == [told[0].parcel_id, told[2].parcel_id]
    assert await count(app_pool, account, "parcel") == 3


async def test_nobody_waits_long_for_a_statement_that_hangs(
    account: int, registrar: Registrar
) -> None:
    held = Held(registrar)
    shared = Together(held.store)
    stored = [shared.store(account, await ready(registrar, account, "A"))]
    await asked(held, 1)
    stored.append(shared.store(account, await ready(registrar, account, "B")))
    await asked(held, 2)
    assert held.sizes == [1, 1]
    held.let_go.set()
    assert all(isinstance(one, Registered) for one in await asyncio.gather(*stored))


async def test_a_row_that_the_database_refuses_takes_no_neighbour_with_it(
    account: int, registrar: Registrar, app_pool: Pool
) -> None:
    shared = Together(registrar.register_many)
    readies = [
        await ready(registrar, account, "A"),
        await ready(registrar, account, "B", details={"odd": "\x00"}),
        await ready(registrar, account, "C"),
    ]
    told = await asyncio.gather(
        *(shared.store(account, one) for one in readies), return_exceptions=True
    )
    assert isinstance(told[1], asyncpg.UntranslatableCharacterError)
    assert isinstance(told[0], Registered)
    assert isinstance(told[2], Registered)
    assert await count(app_pool, account, "parcel") == 2


async def test_an_outage_is_everybodys_and_asked_about_once(account: int) -> None:
    asked = 0

    async def away(_: int, readies: Sequence[Ready]) -> list[Registered | Conflict]:
        nonlocal asked
        asked += 1
        raise DatabaseUnavailable("away")

    shared = Together(away)
    given = Ready(registration(), {}, credential_missing=False)
    told = await asyncio.gather(
        *(shared.store(account, given) for _ in range(3)), return_exceptions=True
    )
    assert [type(one) for one in told] == [DatabaseUnavailable] * 3
    assert asked == 1


async def test_who_hangs_up_before_it_is_sent_is_not_registered(
    account: int, registrar: Registrar, app_pool: Pool
) -> None:
    shared = Together(registrar.register_many)
    stays = shared.store(account, await ready(registrar, account, "A"))
    leaves = shared.store(account, await ready(registrar, account, "B"))
    leaves.cancel()
    assert isinstance(await stays, Registered)
    assert await count(app_pool, account, "parcel") == 1
