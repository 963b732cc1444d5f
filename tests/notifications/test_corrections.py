"""What was told and is not so any more: subscribers hear of what is, under an id of its own."""

import pytest
from tests.notifications.town import Town, scan

from milepost.notifications.forms import Form
from milepost.wire.classic import STATUS_CHANGED

ALL: dict[str, object] = {}
CHANGES = {"status_changes": True}
LATE = "sorted delivery_delay warning in_progress"


async def withdraw(town: Town, parcel: int, sequence: int) -> None:
    """As the recorder does where an alarm stands no more."""
    await town.run(
        "UPDATE event SET withdrawn_at = now() WHERE account_id = $1 AND parcel_id = $2"
        " AND sequence = $3 RETURNING 1",
        *(parcel, sequence),
    )
    await town.run(
        "INSERT INTO outbox (account_id, parcel_id, sequence, kind, recorded_at)"
        " VALUES ($1, $2, $3, 'withdrawn', now()) RETURNING 1",
        *(parcel, sequence),
    )


async def messages(town: Town, connection: int) -> list[tuple[str, int, bytes]]:
    return await town.rows(
        "SELECT m.event_id, m.sequence, m.body FROM delivery d"
        " JOIN message m ON m.account_id = d.account_id AND m.message_id = d.message_id"
        " WHERE d.account_id = $1 AND d.connection_id = $2 ORDER BY d.delivery_id",
        connection,
    )


@pytest.fixture
async def parcel(town: Town) -> int:
    """Sorted, then late; both told to whoever is connected before."""
    return await town.register()


async def test_a_status_that_comes_back_has_an_id_of_its_own_and_a_number_that_never_falls(
    town: Town, parcel: int
) -> None:
    """Who goes by ids or numbers would drop it else, and show the parcel late for ever."""
    shop = await town.connect("integration", Form.CLASSIC)
    await town.observe(parcel, scan(30, "sorted"))
    await town.tell()
    await town.observe(parcel, scan(20, LATE))
    await town.tell()
    await withdraw(town, parcel, 3)
    await town.tell()
    told = await messages(town, shop)
    assert [action for *_, action, _ in await town.deliveries(shop)] == [STATUS_CHANGED] * 3
    assert told[0][2] == told[2][2] != told[1][2], "sorted, late, sorted"
    assert len({event_id for event_id, *_ in told}) == 3
    assert [number for _, number, _ in told] == [2, 3, 3]


async def test_who_asks_for_changes_alone_is_told_what_disproves_one(
    town: Town, parcel: int
) -> None:
    subscriber = await town.connect("webhook", Form.EVENT, CHANGES)
    await town.observe(parcel, scan(30, "sorted", "A"))
    await town.tell()
    await town.observe(parcel, scan(20, LATE))
    await town.tell()
    await town.observe(parcel, scan(10, "sorted", "B"), scan(9, "sorted", "C"))
    await withdraw(town, parcel, 3)
    await town.tell()
    assert [sequence for _, sequence, *_ in await town.deliveries(subscriber)] == [1, 2, 3, 5]
    await town.observe(parcel, scan(8, "sorted", "D"))
    await town.tell()
    assert len(await town.deliveries(subscriber)) == 4, "it is known by now"


async def test_what_nobody_was_told_is_not_withdrawn(town: Town, parcel: int) -> None:
    await town.tell()
    await town.observe(parcel, scan(30, "sorted"), scan(20, LATE))
    await withdraw(town, parcel, 3)
    await town.tell()
    assert [(sequence, kind) for _, _, sequence, kind in await town.feed()] == [
        (1, "event"),
        (2, "event"),
    ]
    await town.observe(parcel, scan(10, LATE, "other"))
    await town.tell()
    await withdraw(town, parcel, 4)
    await town.tell()
    assert [kind for *_, kind in await town.feed()] == ["event", "event", "event", "withdrawn"]
