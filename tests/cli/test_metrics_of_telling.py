"""/metrics of what is told: every delivery due has an age, whatever its connection waits for."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.cli.test_metrics_port import Sample, firing, scrape
from tests.conftest import execute

from milepost.checkup.standing import read_standing
from milepost.checkup.verdict import Grade
from milepost.checkup.work_checks import judge_work
from milepost.db.pool import Pool, tenant
from milepost.settings import Settings

assert scrape
OPEN_AGAIN = (
    "UPDATE delivery_lane SET state = 'open', rests_until = NULL, lease_until = NULL",
    "UPDATE delivery SET due_at = now() + interval '1 h'",
    "UPDATE account SET status = 'active'",
)
PLANTED = {
    "turn": "SELECT 1",
    "busy": "UPDATE delivery_lane SET lease_until = now() + interval '1 min',"
    " turn_at = now() + interval '1 min'",
    "resting": "UPDATE delivery_lane SET rests_until = now() + interval '1 min',"
    " turn_at = now() + interval '1 min'",
    "paused": "UPDATE delivery_lane SET state = 'paused', turn_at = 'infinity'",
    "disabled": "UPDATE delivery_lane SET state = 'disabled', turn_at = 'infinity'",
    "suspended": "UPDATE account SET status = 'suspended'",
}


async def backlog(pool: Pool, account: int) -> None:
    """A connection with one delivery that has been due for two hours, and one behind it."""
    async with tenant(pool, account) as conn:
        connection = await conn.fetchval(
            "INSERT INTO connection (account_id, kind, form, url)"
            " VALUES ($1, 'webhook', 'sendcloud_v3', '') RETURNING connection_id",
            account,
        )
        await conn.execute(
            "INSERT INTO delivery_lane (account_id, connection_id, turn_at)"
            " VALUES ($1, $2, now() - interval '2 h')",
            account,
            connection,
        )
        message = await conn.fetchval(
            "INSERT INTO message (account_id, parcel_id, event_id, action, form, body)"
            " VALUES ($1, 0, 'e', 'a', 'sendcloud_v3', '') RETURNING message_id",
            account,
        )
        for due in ("now() - interval '2 h'", "'infinity'"):
            await conn.execute(
                "INSERT INTO delivery (account_id, connection_id, message_id, parcel_id, due_at)"
                f" VALUES ($1, $2, $3, 0, {due})",
                account,
                connection,
                message,
            )


def ages(samples: list[Sample], name: str = "milepost_delivery_oldest_seconds") -> dict[str, float]:
    return {next(iter(labels.values())): value for found, labels, value in samples if found == name}


@pytest.mark.promise
@pytest.mark.parametrize("what", PLANTED)
async def test_a_delivery_due_has_an_age_whatever_its_connection_waits_for(
    what: str, dsn: str, worker_pool: Pool, account: int, scrape: Callable[[], Any]
) -> None:
    await backlog(worker_pool, account)
    await execute(dsn, PLANTED[what])
    samples = await scrape()
    found = ages(samples)
    assert 7200 <= found.pop(what) < 7300
    assert set(found.values()) == {0.0}
    assert set(found) | {what} == set(PLANTED)
    states = ages(samples, "milepost_connections")
    state = what if what in states else "open"
    assert {name: count for name, count in states.items() if count} == {state: 1}
    assert ("MilepostDeliveriesLate" in firing(samples)) == (what == "turn")
    told = await checked(dsn)
    expected = {"turn": Grade.FAULT, "disabled": Grade.WARNING}.get(what, Grade.OK)
    assert max((grade for grade, _ in told), key=list(Grade).index) is expected
    if what not in ("turn", "busy"):
        assert any(text.startswith("1 ") for _, text in told), told
    await execute(dsn, *OPEN_AGAIN)
    samples = await scrape()
    assert set(ages(samples).values()) == {0.0}
    assert firing(samples) == set()


@pytest.mark.promise
async def test_an_outbox_nobody_empties_has_an_age_in_the_last_account_too(
    dsn: str, account: int, admin_pool: Pool, scrape: Callable[[], Any]
) -> None:
    """More accounts than are looked into come before it, and have nothing to tell."""
    await execute(dsn, "INSERT INTO account (name) SELECT 'n' || i FROM generate_series(1, 2100) i")
    last = await admin_pool.fetchval("SELECT max(account_id) FROM account")
    await execute(
        dsn,
        "INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)"
        f" VALUES ({last}, 1, 1, 'event', now() - interval '10 min')",
    )
    samples = await scrape()
    (age,) = (value for name, _, value in samples if name == "milepost_outbox_oldest_seconds")
    assert 600 <= age < 700
    assert firing(samples) == {"MilepostOutboxStuck"}
    assert (Grade.FAULT, "has waited 6") in [
        (grade, text[text.find("has") :][:12]) for grade, text in await checked(dsn)
    ]
    await execute(dsn, "DELETE FROM outbox")
    assert firing(await scrape()) == set()


async def checked(dsn: str) -> list[tuple[Grade, str]]:
    """What the doctor says of subscribers."""
    standing = await read_standing(dsn, Settings())
    assert standing.contents is not None
    return [
        (one.grade, one.text) for one in judge_work(standing.contents) if one.check == "subscribers"
    ]
