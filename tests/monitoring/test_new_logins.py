"""A login that is set while the old one is refused; carriers with a second code; the sweep."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from tests.conftest import execute
from tests.monitoring.conftest import House

from milepost.accounts.secret_keys import SecretKeys
from milepost.accounts.vault import CredentialStore
from milepost.carriers.connector import NotFound, Refused
from milepost.carriers.registry import Carrier, Catalogue
from milepost.db.pool import Pool, tenant
from milepost.monitoring import claim as claim_module
from milepost.monitoring.claim import due_lanes, pause
from milepost.monitoring.sandbox import advance
from milepost.monitoring.sweep import sweep, sweep_in_turn

KEYS = SecretKeys((b"k" * 40,))
REFUSED = Refused(3600, "no", credential_refused=True)


async def set_login(house: House, admin_pool: Pool, shared: bool, value: str) -> None:
    store = CredentialStore(admin_pool, KEYS)
    if shared:
        await store.set_for_operator("sandbox", {"speed": value})
    else:
        await store.set_for_account(house.account, "sandbox", {"speed": value})


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("order", ["set, then refused", "refused, then set"])
async def test_a_refusal_in_flight_does_not_close_the_lane_for_the_new_login(
    house: House, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch, shared: bool, order: str
) -> None:
    await set_login(house, admin_pool, shared, "1")
    await house.register(carrier_code="sandbox")
    close = claim_module.close

    async def closed(*told: object) -> None:
        if order == "set, then refused":
            await set_login(house, admin_pool, shared, "2")
        await close(*told)  # type: ignore[arg-type]
        if order == "refused, then set":
            await set_login(house, admin_pool, shared, "2")

    monkeypatch.setattr("milepost.monitoring.check.close", closed)
    house.answer = lambda _: REFUSED
    assert await house.check() == 1
    assert (await house.lane()).state == "open"
    house.answer = lambda _: NotFound()
    assert await due_lanes(house.pool, 10) == [await house.lane()]
    assert await house.check() == 1, "asked with the new one at once"


@pytest.mark.parametrize("versioned", [True, False])
async def test_without_the_version_the_lane_would_be_closed(
    house: House, admin_pool: Pool, dsn: str, versioned: bool
) -> None:
    """The planted fault: a lane that closes whatever login is stored by now."""
    await set_login(house, admin_pool, False, "1")
    await house.register(carrier_code="sandbox")
    login = await house.credentials.get(house.account, "sandbox")
    assert login is not None
    await set_login(house, admin_pool, False, "2")
    lane = await house.lane()
    hour = timedelta(hours=1)
    if versioned:
        await claim_module.close(
            house.pool, lane, "credential_refused", hour, "sandbox", login.version
        )
    else:
        await pause(house.pool, lane, "credential_refused", hour)
    assert ((await house.lane()).state == "open") is versioned


async def test_setting_waits_for_a_lane_that_is_being_closed(
    house: House, admin_pool: Pool
) -> None:
    """The refusal has the lane in hand when the new login comes: the setter is the later one."""
    await set_login(house, admin_pool, False, "1")
    await house.register(carrier_code="sandbox")
    login = await house.credentials.get(house.account, "sandbox")
    assert login is not None
    async with tenant(house.pool, house.account) as connection:
        await connection.fetchval(
            "SELECT pause_lane($1, 'sandbox', 'credential_refused', interval '1 h', 'sandbox', $2)",
            house.account,
            login.version,
        )
        setting = asyncio.create_task(set_login(house, admin_pool, False, "2"))
        await asyncio.sleep(0.2)
        assert not setting.done()
    await setting
    assert (await house.lane()).state == "open"


# A carrier with a second code. ------------------------------------------------------------------


@pytest.fixture
def aliased(house: House) -> House:
    """The sandbox answers for a "playground" too."""
    found = house.catalogue.get("sandbox")
    assert found is not None
    other = dataclasses.replace(
        found.manifest,
        code="playground",
        answered_by="sandbox",
        ask_with={"speed": "3"},
        api=None,
        credential=(),
        simulated=False,
    )
    alias = Carrier(other, found.folder / "playground", answering=found)
    catalogue = Catalogue({"sandbox": found, "playground": alias})
    house.catalogue = catalogue
    house.checker._catalogue = catalogue
    return house


@pytest.mark.parametrize("shared", [True, False])
async def test_a_login_wakes_the_lanes_of_every_code(
    aliased: House, admin_pool: Pool, shared: bool
) -> None:
    await aliased.register(carrier_code="playground")
    aliased.answer = lambda _: REFUSED
    assert await aliased.check("playground") == 1
    assert await due_lanes(aliased.pool, 10) == []
    store = CredentialStore(admin_pool, KEYS)
    if shared:
        await store.set_for_operator("sandbox", {"speed": "2"}, ("sandbox", "playground"))
    else:
        await store.set_for_account(
            aliased.account, "sandbox", {"speed": "2"}, ("sandbox", "playground")
        )
    assert (await aliased.lane("playground")).state == "open"
    assert await due_lanes(aliased.pool, 10) == [await aliased.lane("playground")]


async def test_codes_of_one_carrier_share_quota_login_and_clock(aliased: House) -> None:
    await aliased.register(carrier_code="playground")
    await aliased.register(carrier_code="sandbox")
    assert await aliased.check("playground") == await aliased.check("sandbox") == 1
    budgets = await aliased.pool.fetch("SELECT carrier_code, owner FROM carrier_budget")
    assert [tuple(row) for row in budgets] == [("sandbox", f"account:{aliased.account}")]
    async with tenant(aliased.pool, aliased.account) as connection:
        await advance(
            connection,
            aliased.credentials,
            aliased.catalogue,
            aliased.account,
            timedelta(hours=1),
        )
    assert {lane.carrier_code for lane in await due_lanes(aliased.pool, 10)} == {
        "playground",
        "sandbox",
    }
    lane = await aliased.lane("playground")
    await pause(aliased.pool, lane, "not_supported", None)
    assert await sweep(aliased.pool, aliased.catalogue, aliased.credentials) == 1


# The sweep. --------------------------------------------------------------------------------------

LANES = 2_000
FILL = f"""
INSERT INTO account (name) SELECT 'a' || n FROM generate_series(1, {LANES}) n;
INSERT INTO parcel (account_id, carrier_code, tracking_number, request, announced_at, created_at,
    updated_at, phase, exception, status_type, sub_status, status, status_at)
SELECT account_id, 'sandbox', 'N', '{{}}', now(), now(), now(), 'in_transit', 'none', 'success',
    'none', 'SHIPMENT_ON_ROUTE', now() FROM account;
INSERT INTO watch (account_id, carrier_code, parcel_id, urgency, due_at)
SELECT account_id, 'sandbox', parcel_id, 1, CASE WHEN account_id % 1000 = 0 THEN now()
    ELSE now() + interval '1 h' END FROM parcel;
INSERT INTO lane (account_id, carrier_code, turn_at)
SELECT account_id, 'sandbox', now() + CASE WHEN account_id % 2 = 0 THEN interval '1 h'
    ELSE interval '30 s' END FROM account;
"""


async def test_the_sweep_repairs_what_would_come_late_and_leaves_the_rest(
    house: House, dsn: str
) -> None:
    """Half of the lanes come before the next sweep; one in 1,000 has a row due."""
    await execute(dsn, FILL, "VACUUM ANALYZE")
    await sweep_in_turn(house.pool, house.catalogue, house.credentials)
    assert len(await due_lanes(house.pool, 100)) == LANES // 1000
    await house.pool.execute("UPDATE lane SET turn_at = now() + interval '1 h'")
    await sweep_in_turn(house.pool, house.catalogue, house.credentials)
    assert await due_lanes(house.pool, 100) == [], "another worker has just done it"
