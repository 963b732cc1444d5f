"""A change against what happens between its reading a parcel and its writing it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tests.api.fake_api import Client
from tests.api.own_api import PARCELS, own_api
from tests.api.test_milepost_changes import patch, registered, rows

from milepost.db.pool import Pool
from milepost.parcels.draft import Ready
from milepost.parcels.register import Registrar
from milepost.parcels.statements import CHANGES
from milepost.tracking.parcel import Registration


@pytest.fixture
async def client(dsn: str, account: int) -> AsyncIterator[Client]:
    async with own_api(dsn, account) as (one, _):
        yield one


@pytest.fixture(params=[True, False], ids=["fenced", "unfenced"])
def fenced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Unfenced (the planted bug), a change is written over whatever came since it was read."""
    if not request.param:
        written = CHANGES.change_parcel

        async def unfenced(conn: Any, **given: Any) -> Any:
            newest = await conn.fetchval(
                "SELECT revision FROM parcel WHERE account_id = $1 AND parcel_id = $2",
                given["account_id"],
                given["parcel_id"],
            )
            return await written(conn, **(given | {"revision": newest}))

        monkeypatch.setattr(CHANGES, "change_parcel", unfenced)
    return bool(request.param)


def between(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[object]]) -> None:
    """Have ``meanwhile`` done once, after the next change has read its parcel."""
    prepare, waiting = Registrar.prepare, [meanwhile]

    async def prepared(self: Registrar, account_id: int, given: Registration) -> Ready:
        if waiting:
            await waiting.pop()()
        return await prepare(self, account_id, given)

    monkeypatch.setattr(Registrar, "prepare", prepared)


async def test_two_changes_at_once_are_both_kept(
    client: Client, monkeypatch: pytest.MonkeyPatch, fenced: bool
) -> None:
    parcel_id = await registered(client)
    other = {"to_address": {"city": "Other"}}
    between(monkeypatch, lambda: patch(client, parcel_id, other))
    assert (await patch(client, parcel_id, {"to_address": {"name": "Mine"}})).status == 200
    address = (await client.get(f"{PARCELS}/{parcel_id}")).document["to_address"]
    assert address["name"] == "Mine"
    assert (address.get("city") == "Other") is fenced


async def test_what_the_carrier_tells_meanwhile_is_kept(
    client: Client,
    app_pool: Pool,
    account: int,
    monkeypatch: pytest.MonkeyPatch,
    fenced: bool,
) -> None:
    parcel_id = await registered(client)
    told = {"events": [{"event_at": "2026-01-06T10:00:00Z", "phase": "delivered"}]}
    between(monkeypatch, lambda: client.post(f"{PARCELS}/{parcel_id}/events", told))
    assert (await patch(client, parcel_id, {"to_address": {"name": "Mine"}})).status == 200
    ((phase, ended),) = await rows(
        app_pool, account, "SELECT phase, ended_at IS NOT NULL FROM parcel"
    )
    assert (phase == "delivered" and ended) is fenced
