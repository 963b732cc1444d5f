import asyncio

import orjson
import pytest
from tests.parcels.conftest import registration

from milepost.db.pool import Pool
from milepost.parcels.find import LOOK_UP, Reader
from milepost.parcels.register import Registrar


@pytest.mark.parametrize("asked", ["JD 014600 x", "jd014600x", " JD014600X\t"])
async def test_blanks_and_case_do_not_matter(
    account: int, registrar: Registrar, reader: Reader, asked: str
) -> None:
    await registrar.register(account, registration(tracking_number="jD 014600X"))
    snapshot = await reader.read(account, asked, None, 1)
    assert snapshot is not None
    (number,) = orjson.loads(snapshot.body)["tracking_numbers"]
    assert number["tracking_number"] == "jD 014600X"


async def test_the_identifier_finds_the_parcel_too(
    account: int, registrar: Registrar, reader: Reader
) -> None:
    given = registration(tracking={"tracking_identifier": "abC/1"})
    await registrar.register(account, given)
    by_identifier = await reader.read(account, "ABC/1", None, 1)
    by_number = await reader.read(account, given.tracking_number, None, 1)
    assert by_identifier == by_number is not None


async def test_two_carriers_the_newest_wins_unless_one_is_named(
    account: int, registrar: Registrar, reader: Reader
) -> None:
    for carrier in ("dhl", "postnl"):
        await registrar.register(account, registration(tracking_number="TWO", carrier_code=carrier))

    async def carrier_of(code: str | None) -> str:
        snapshot = await reader.read(account, "TWO", code, 1, "v2")
        assert snapshot is not None
        found: str = orjson.loads(snapshot.body)["carrier_code"]
        return found

    assert await carrier_of(None) == "postnl"
    assert await carrier_of("DHL") == "dhl"
    assert await reader.read(account, "TWO", "ups", 1) is None


async def test_another_account_sees_nothing(
    account: int, admin_pool: Pool, registrar: Registrar, reader: Reader
) -> None:
    given = registration()
    await registrar.register(account, given)
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    assert await reader.read(other, given.tracking_number, None, 1) is None
    assert await reader.load(other, given.tracking_number) is None


async def test_reads_of_one_turn_share_queries_and_get_their_own_answers(
    account: int, registrar: Registrar, reader: Reader
) -> None:
    given = [registration() for _ in range(30)]
    for one in given:
        await registrar.register(account, one)
    numbers = [one.tracking_number for one in given] + ["UNKNOWN"] * 3
    snapshots = await asyncio.gather(*(reader.read(account, n, None, 1) for n in numbers))
    told = [
        orjson.loads(s.body)["tracking_numbers"][0]["tracking_number"] if s else "UNKNOWN"
        for s in snapshots
    ]
    assert told == numbers


async def test_a_raised_epoch_renders_again_and_keeps_it(
    account: int, admin_pool: Pool, registrar: Registrar, reader: Reader, app_pool: Pool
) -> None:
    given = registration()
    await registrar.register(account, given)
    first = await reader.read(account, given.tracking_number, None, 1)
    await app_pool.execute("SELECT raise_render_epoch($1)", account)
    again = await reader.read(account, given.tracking_number, None, 2)
    assert again == first
    row = await app_pool.fetchrow(LOOK_UP, account, "v3", ["X"])
    assert row is None
    stored = await app_pool.fetchrow(LOOK_UP, account, "v3", [given.tracking_number])
    assert stored is not None
    assert stored["render_epoch"] == 2
