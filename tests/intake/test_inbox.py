"""What was pushed: told once however often it is tried, and never lost."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.intake.told import NUMBER, Told, activity

from milepost.carriers.registry import Catalogue
from milepost.db.pool import Pool
from milepost.intake import inbox
from milepost.monitoring.drift import drift_of
from milepost.monitoring.queues import read_queues
from milepost.parcels.erase import erase
from milepost.parcels.raw_payloads import make_months, read
from milepost.settings import Settings


async def test_a_push_is_told_and_its_text_stays_with_the_parcel(told: Told) -> None:
    await make_months(told.pool)
    parcel_id = await told.register()
    assert await told.push(activity())
    assert await told.states() == ["waiting"]
    assert await told.work() == 1
    assert await told.states() == []
    (event,) = await told.events(parcel_id)
    assert (event.wording.raw_code, event.wording.source) == ("OT", "push")
    assert [one.body for one in await read(told.pool, told.account, parcel_id)] != []
    assert await told.run("SELECT turn_at = 'infinity' FROM intake_turn")
    # Told once more, and a scan before it: nothing is doubled.
    await told.push(activity())
    await told.push(activity("DP", "031500"))
    assert await told.work() == 2
    events = await told.events(parcel_id)
    assert {one.wording.raw_code for one in events} == {"DP", "OT"}


async def test_what_nobody_knows_in_a_push_is_told_to_the_operator_alone(told: Told) -> None:
    await told.register()
    strange = {"newField": {"name": "Anna Schmidt"}, "language": "xx"}
    await told.push(json.dumps(json.loads(activity()) | strange).encode())
    with capture_logs() as lines:
        assert await told.work() == 1
    said = [line["reason"] for line in lines if line["event"] == "carrier drift"]
    assert "unknown field push/newField" in said
    assert "Anna" not in repr(lines)
    carrier = Catalogue.load().get("ups")
    assert carrier is not None
    found = await drift_of(told.pool, carrier, lambda *_: True)
    assert {one.what for one in found} == {"push/newField", "push/language"}
    # Whoever has an address chooses the names in what it pushes.
    assert await drift_of(told.pool, carrier, None) == []


async def test_a_worker_that_died_with_a_payload_loses_nothing(told: Told) -> None:
    parcel_id = await told.register()
    await told.push(activity())
    (claimed,) = await told.inbox._claimed(told.account)
    assert await told.work() == 0  # it is another's, until the lease is over
    await told.make_due()
    assert await told.work() == 1
    # The first one wakes up: it has told already, and must not take what is not its own any more.
    await told.push(activity("DP", "031500"))
    await told.inbox._finish(told.account, claimed, inbox.TOLD)
    assert await told.work() == 1
    assert len(await told.events(parcel_id)) == 2


async def test_a_turn_takes_no_more_than_a_worker_has_room_for(told: Told) -> None:
    mega = 1024 * 1024
    for size in (3 * mega, 5 * mega, 1, 9 * mega, 9 * mega, 2):
        await told.run(
            "INSERT INTO push_payload (account_id, carrier_code, source, headers, payload)"
            " VALUES ($1, 'ups', 'push', '{}', convert_to(repeat('x', $2), 'LATIN1'))",
            told.account,
            size,
        )
    taken = []
    while claimed := await told.inbox._claimed(told.account):
        taken.append(sorted(len(one.payload) for one in claimed))
    # What is too large is taken all the same, by itself.
    assert taken == [[3 * mega, 5 * mega], [1], [9 * mega], [9 * mega], [2]]


async def test_a_number_that_is_registered_later_is_told_then(told: Told) -> None:
    await told.push(activity())
    assert await told.work() == 1
    (kept,) = await inbox.kept(told.pool, told.account, "ups", 5)
    assert (kept.state, kept.numbers, kept.tries) == ("unknown_number", (NUMBER,), 1)
    assert kept.due_at is not None
    parcel_id = await told.register()
    await told.make_due()
    assert await told.work() == 1
    assert len(await told.events(parcel_id)) == 1
    assert await told.states() == []


async def test_a_number_that_stays_unknown_is_kept_and_not_tried_for_ever(told: Told) -> None:
    await told.push(activity())
    for _ in inbox.UNKNOWN_AFTER:
        assert await told.work() == 1
        await told.make_due()
    assert await told.work() == 1
    (kept,) = await inbox.kept(told.pool, told.account, "ups", 5)
    assert (kept.state, kept.due_at) == ("unknown_number", None)
    await told.make_due()
    assert await told.work() == 0
    # Until somebody wants it.
    assert await inbox.try_again(told.pool, told.account, "ups") == 1
    assert await told.work() == 1


async def test_what_nobody_can_read_or_tell_is_shown_and_counted(
    told: Told, admin_pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told.register()
    await told.push(b'{"hello": "world"}')
    assert await told.work() == 1
    assert await told.states() == ["unreadable"]

    async def fail(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(told.inbox, "_tell", fail)
    await told.push(activity())
    for _ in range(len(inbox.FAULTY_AFTER) + 1):
        assert (await told.states())[0] == "waiting"
        assert await told.work() == 1
        await told.make_due()
    assert await told.states() == ["dead", "unreadable"]
    async with admin_pool.acquire() as connection, connection.transaction():
        queues = await read_queues(connection, lambda code: code)
    assert {one.state: one.payloads for one in queues.untold} == {"dead": 1, "unreadable": 1}
    assert all(one.due_seconds >= 0 for one in queues.untold)
    # Who dies with a payload each time never says what became of it.
    monkeypatch.undo()
    await told.push(activity())
    await told.run("UPDATE push_payload SET tries = 50 WHERE state = 'waiting'")
    assert await told.work() == 1
    assert await told.states() == ["dead", "dead", "unreadable"]


async def test_erasing_a_parcel_takes_what_was_pushed_about_it(told: Told) -> None:
    parcel_id = await told.register()
    await told.push(activity())  # not told yet
    await told.push(activity(number="1Z5R89390357567127"))
    receipt = await erase(told.pool, told.account, parcel_id, "test")
    assert receipt is not None
    assert receipt.counts["pushes"] == 1
    assert await told.work() == 1
    assert await told.states() == ["unknown_number"]
    assert await told.run("SELECT count(*) FROM raw_payload") == 0
    later = datetime.now(UTC) + timedelta(days=1)
    assert await inbox.forget(told.pool, told.account, later, 10) == 1
    assert [one async for one in inbox.accounts(told.pool)] == [told.account]


async def test_a_pushed_parcel_is_asked_later_and_never_one_that_nobody_asked_yet(
    told: Told, settings: Settings
) -> None:
    parcel_id = await told.register()
    wait = "SELECT extract(epoch FROM due_at - now())::float8 FROM watch"

    def four_of(interval: float) -> Any:
        # Less what the test has taken since.
        return pytest.approx(min(4 * interval, settings.check_longest), abs=600)

    await told.push(activity("DP"))
    await told.work()
    assert await told.run(wait) <= 0  # its history before the pushes is asked for once
    asked = "UPDATE watch SET due_at = now() + interval '1 hour', last_checked_at = now()"
    await told.run(asked)
    await told.push(activity("OR"))
    await told.work()
    assert await told.run(wait) == four_of(settings.check_in_transit)
    await told.push(activity("OT"))
    await told.work()
    assert await told.run(wait) == four_of(settings.check_in_delivery)
    await told.run("UPDATE watch SET due_at = 'infinity'")
    await told.push(activity("OT", "064512"))
    await told.work()
    assert await told.run("SELECT due_at = 'infinity' FROM watch")
    assert len(await told.events(parcel_id)) == 4


async def test_a_push_that_tells_only_of_a_change_has_the_carrier_asked(told: Told) -> None:
    found = (
        '{"event": "shipment_status_changed", "payload": {"status": "x", "tracking_number": "%s"}}'
    )
    number = "630400123456789012345678"
    parcel_id = await told.register(number, "inpost_pl")
    await told.run("UPDATE watch SET due_at = now() + interval '9 hours'")
    statement = (
        "INSERT INTO push_payload (account_id, carrier_code, source, headers, payload)"
        " VALUES ($1, 'inpost_pl', 'push', '{}', $2)"
    )
    await told.run(statement, told.account, (found % number).encode())
    assert await told.work() == 1
    assert await told.run("SELECT due_at <= now() FROM watch")
    assert await told.run("SELECT turn_at <= now() FROM lane")
    assert await told.events(parcel_id) == []
    assert await told.run("SELECT count(*) FROM push_payload") == 0
    # Nobody asks about a parcel that the merchant has stopped.
    await told.run("UPDATE parcel SET stopped_at = now()")
    await told.run("UPDATE watch SET due_at = 'infinity'")
    await told.run(statement, told.account, (found % number).encode())
    await told.work()
    assert await told.run("SELECT due_at = 'infinity' FROM watch")
