"""``/unmapped-codes``: an account's own events alone, counted, with a few of them."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from tests.api.own_api import own_api
from tests.parcels.conftest import registration
from tests.tracking.order_free import poll, scan_at

from milepost.db.pool import Pool, tenant
from milepost.parcels.erase import erase
from milepost.parcels.unmapped import accept_codes, kept_code
from milepost.wiring import CoreParts

PATH = "/api/milepost/v1/unmapped-codes"
UNKNOWN = "unknown unknown warning unknown"


async def parcel(core: CoreParts, account: int, carrier: str, *codes: str) -> int:
    """A parcel of which a poll told an event of each code."""
    await core.registrar.register(account, registration(carrier_code=carrier))
    async with tenant(core.pool, account) as conn:
        made = int(await conn.fetchval("SELECT max(parcel_id) FROM parcel"))
    scans = [scan_at(60 + place, code, UNKNOWN) for place, code in enumerate(codes)]
    told = poll(2, *scans)
    now = datetime.now(UTC)
    told = type(told)(carrier, "poll", now - timedelta(hours=1), told.scans, complete=True)
    await core.recorder.record(account, made, told, now, lambda *_: None)
    return made


async def test_codes_are_listed_by_the_carrier_that_tells_them(
    dsn: str, account: int, admin_pool: Pool
) -> None:
    async with own_api(dsn, account) as (client, parts):
        one = await parcel(parts.core, account, "postnl", "X7", "43/0 b")
        two = await parcel(parts.core, account, "postnl_large", "X7")
        await parcel(parts.core, account, "dpd", "")
        rows = (await client.get(PATH)).document["data"]
        found = [(row["carrier_code"], row["code"], row["events"]) for row in rows]
        assert found == [("dpd", "", 1), ("postnl", "43/0 b", 1), ("postnl", "X7", 2)]
        assert {row["state"] for row in rows} == {"open"}
        last = rows[-1]["examples"]
        assert {each["parcel_id"] for each in last} == {str(one), str(two)}
        assert {each["text"] for each in last} == {"Text X7"}
        by_alias = (await client.get(f"{PATH}?carrier_code=postnl_large")).document["data"]
        assert by_alias == rows[1:]
        assert (await client.get(f"{PATH}/postnl/43%2F0%20b")).document == rows[1]
        assert (await client.get(f"{PATH}/dpd/X7")).status == 404
        for row in rows:
            words = urlencode({"carrier_code": row["carrier_code"], "code": row["code"]})
            assert (await client.get(f"{PATH}?{words}")).document["data"] == [row]
        await admin_pool.execute(
            "INSERT INTO unmapped_code (carrier_code, raw_code, seen, accepted_at) "
            "VALUES ('postnl', 'X7', 9, now())"
        )
        dismissed = (await client.get(f"{PATH}?state=dismissed")).document["data"]
        assert [(row["code"], row["events"]) for row in dismissed] == [("X7", 2)]


async def test_they_are_nobody_elses_and_go_with_their_parcel(
    dsn: str, account: int, admin_pool: Pool
) -> None:
    statement = "INSERT INTO account (name) VALUES ('the other') RETURNING account_id"
    other = int(await admin_pool.fetchval(statement))
    async with own_api(dsn, account) as (client, parts):
        made = await parcel(parts.core, other, "dpd", "MRS JANSEN")
        # What the installation counts is told to no account that has not met it itself.
        await parts.core.recorder.unmapped.keep(parts.core.pool)
        (kept,) = await admin_pool.fetch("SELECT raw_code FROM unmapped_code")
        assert kept["raw_code"].startswith("text-"), "words of a carrier outlive no parcel"
        assert (await client.get(PATH)).document == {"data": [], "is_cut": False}
        assert (await client.get(f"{PATH}/dpd/MRS%20JANSEN")).status == 404
        async with own_api(dsn, other) as (its_own, _):
            assert len((await its_own.get(PATH)).document["data"]) == 1
            assert await accept_codes(admin_pool, [("dpd", "MRS JANSEN"), ("dpd", "X")]) == ["X"]
            assert (await its_own.get(PATH)).document["data"][0]["state"] == "dismissed"
            await erase(parts.core.pool, other, made, "cli")
            assert (await its_own.get(PATH)).document["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [("?state=shut", "state"), ("?sort=x", "sort"), ("?carrier_code=%00", "carrier_code")],
)
async def test_what_is_asked_wrongly_is_refused(
    dsn: str, account: int, query: str, field: str
) -> None:
    async with own_api(dsn, account) as (client, _):
        answer = await client.get(f"{PATH}{query}")
        assert (answer.status, field in str(answer.document)) == (422, True), answer.body


@pytest.mark.parametrize(
    ("code", "is_kept"),
    [
        ("", True),
        ("ice:LDTMV", True),
        ("stack_parcel_in_box_machine_pickup_time_expired", True),
        ("D0700000V", True),
        ("Delivered to Jansen", False),
        ("+31612345678", False),
        ("Geliefert-an-Müller", False),
    ],
)
def test_what_looks_like_no_code_is_kept_as_a_digest(code: str, is_kept: bool) -> None:
    assert (kept_code(code) == code) is is_kept
    assert kept_code(kept_code(code)) == kept_code(code)
