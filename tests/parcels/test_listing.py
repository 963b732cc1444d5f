"""Lists and searches on a real database: filters, pages, cursors, and whose parcels they are."""

import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.parcels.conftest import ADDRESS, ANNOUNCED, registration

from milepost.db.pool import Pool, tenant
from milepost.parcels import listing
from milepost.parcels.cursor import Place, cursor_of, place_of_cursor
from milepost.parcels.listing import SORTS, Asked, Filters, ForeignCursor, list_parcels
from milepost.parcels.register import Registrar
from milepost.parcels.search import named_lexeme

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def made(pool: Pool, registrar: Registrar, account: int, count: int) -> list[int]:
    """Parcels an hour apart, two at each, every one changed and ended in an order of its own."""
    for _ in range(count):
        await registrar.register(account, registration())
    async with tenant(pool, account) as connection:
        rows = await connection.fetch("SELECT parcel_id FROM parcel ORDER BY parcel_id")
        ids = [row["parcel_id"] for row in rows]
        shuffled = random.Random(3).sample(range(count), count)
        for place, parcel_id in enumerate(ids):
            await connection.execute(
                "UPDATE parcel SET created_at = $2, updated_at = $3, ended_at = $4 "
                "WHERE parcel_id = $1",
                parcel_id,
                START + place // 2 * HOUR,
                START + shuffled[place] // 3 * HOUR,
                START + shuffled[place] // 4 * HOUR if place % 3 else None,
            )
    return ids


async def change(pool: Pool, account: int, parcel_id: int, **columns: Any) -> None:
    async with tenant(pool, account) as connection:
        for name, value in columns.items():
            await connection.execute(
                f"UPDATE parcel SET {name} = $2 WHERE parcel_id = $1", parcel_id, value
            )


async def found(pool: Pool, account: int, asked: Asked | None = None, **filters: Any) -> list[int]:
    chosen = asked or Asked(Filters(**filters), descending=False)
    return [*(await list_parcels(pool, account, chosen)).parcel_ids]


async def walk(pool: Pool, account: int, asked: Asked) -> list[int]:
    """All pages, one after the other."""
    ids: list[int] = []
    while True:
        page = await list_parcels(pool, account, asked)
        assert len(page.parcel_ids) <= asked.size
        ids += page.parcel_ids
        if not page.next_cursor:
            return ids
        asked = dataclasses.replace(asked, cursor=page.next_cursor)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("sort", SORTS)
async def test_pages_cover_each_parcel_once_in_order(
    account: int, app_pool: Pool, registrar: Registrar, sort: str, descending: bool
) -> None:
    await made(app_pool, registrar, account, 12)
    async with tenant(app_pool, account) as connection:
        rows = await connection.fetch(
            f"SELECT parcel_id, {sort} AS at FROM parcel WHERE {sort} IS NOT NULL"
        )
    wanted = sorted([(row["at"], row["parcel_id"]) for row in rows], reverse=descending)
    for size in (1, 2, 5, 12, 100):
        asked = Asked(Filters(), sort, descending, size)
        assert await walk(app_pool, account, asked) == [place[1] for place in wanted]


@pytest.mark.parametrize("seed", range(4))
async def test_rows_that_come_change_and_go_move_no_others(
    account: int, app_pool: Pool, registrar: Registrar, seed: int
) -> None:
    dice = random.Random(seed)
    ids = await made(app_pool, registrar, account, 14)
    restless, gone = dice.sample(ids, 5), 0
    for sort in ("created_at", "updated_at"):
        asked = Asked(Filters(), sort, dice.random() < 0.5, dice.randint(1, 4))
        seen: list[int] = []
        while True:
            page = await list_parcels(app_pool, account, asked)
            seen += page.parcel_ids
            if not page.next_cursor:
                break
            asked = dataclasses.replace(asked, cursor=page.next_cursor)
            moved = dice.choice(restless)
            moment = START + dice.randint(-3, 10) * HOUR
            await change(app_pool, account, moved, **{sort: moment})
            if gone < 4:
                await registrar.register(account, registration())
                gone += 1
        calm = [one for one in ids if one not in restless]
        assert sorted(one for one in seen if one in calm) == calm
    assert gone


async def test_each_filter_narrows_to_what_it_names(
    account: int, app_pool: Pool, registrar: Registrar
) -> None:
    first, second, third = await made(app_pool, registrar, account, 3)
    await change(app_pool, account, second, status="EXCEPTION", phase="customs", exception="hold")
    await change(app_pool, account, third, carrier_code="postnl", announced_at=START)
    async with tenant(app_pool, account) as connection:
        await connection.execute(
            "UPDATE parcel_search SET words = array_to_tsvector(ARRAY[$2]) WHERE parcel_id = $1",
            third,
            named_lexeme(account, "carrier", "postnl"),
        )
    await change(app_pool, account, first, ended_at=START, updated_at=START - HOUR)
    await change(app_pool, account, second, ended_at=None)
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"statuses": ("EXCEPTION",)}, [second]),
        ({"statuses": ("ANNOUNCED", "EXCEPTION")}, [first, second, third]),
        ({"phases": ("customs",)}, [second]),
        ({"exceptions": ("hold", "damaged")}, [second]),
        ({"carriers": ("postnl",)}, [third]),
        ({"active": True}, [second]),
        ({"active": False}, [first, third]),
        ({"created_from": START + HOUR}, [third]),
        ({"created_to": START + HOUR}, [first, second]),
        ({"announced_from": ANNOUNCED}, [first, second]),
        ({"announced_to": ANNOUNCED}, [third]),
        ({"updated_from": START}, [second, third]),
        ({"updated_to": START}, [first]),
        ({"ended_from": START, "ended_to": START + timedelta.resolution}, [first, third]),
        ({"carriers": ("dhl",), "phases": ("customs",), "active": True}, [second]),
        ({"carriers": ("postnl",), "phases": ("customs",)}, []),
    ]
    for filters, wanted in cases:
        assert await found(app_pool, account, **filters) == wanted, filters


@pytest.mark.parametrize("most_sorted", [listing.MOST_SORTED, 0])
async def test_words_codes_and_countries_are_found(
    account: int,
    app_pool: Pool,
    registrar: Registrar,
    monkeypatch: pytest.MonkeyPatch,
    most_sorted: int,
) -> None:
    """Whether there are few matches, which are sorted, or too many for that."""
    monkeypatch.setattr(listing, "MOST_SORTED", most_sorted)
    to = ADDRESS | {
        "name": "Zoë Łuk",
        "city": "Köln",
        "postal_code": "506 67",
        "country_code": "DE",
    }
    order = {"order": {"order_number": "#A-77"}}
    given = registration(
        to_address=to, shipment=order, tracking_number="JVGL 12-ab", source_id="S/1"
    )
    await registrar.register(account, given)
    await registrar.register(account, registration(source_id="S1"))
    first, second = sorted(await found(app_pool, account))
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"text": "zoe"}, [first]),
        ({"text": "KÖL luk"}, [first]),
        ({"text": "jvgl12"}, [first]),
        ({"text": "jvgl"}, [first, second]),
        ({"text": "50667"}, [first]),
        ({"text": "a77"}, [first]),
        ({"text": "zoe eindhoven"}, []),
        ({"text": "köln", "carriers": ("postnl",)}, []),
        ({"text": "-- !"}, []),
        ({"to_countries": ("DE",)}, [first]),
        ({"to_countries": ("DE", "NL")}, [first, second]),
        ({"from_countries": ("NL",), "to_countries": ("NL",)}, [second]),
        ({"from_countries": ("BE",), "to_countries": ("DE", "NL")}, []),
        ({"order_number": "#A-77"}, [first]),
        # The same letters, another number: compared as a whole, character by character.
        ({"order_number": "A77"}, []),
        ({"source_id": "S/1"}, [first]),
        ({"source_id": "S1"}, [second]),
        ({"source_id": "S"}, []),
    ]
    for filters, wanted in cases:
        assert await found(app_pool, account, **filters) == wanted, filters


async def test_another_account_is_never_listed_nor_searched(
    account: int, admin_pool: Pool, app_pool: Pool, registrar: Registrar
) -> None:
    await registrar.register(account, registration(source_id="mine"))
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    for filters in ({}, {"text": "mine"}, {"source_id": "mine"}, {"to_countries": ("NL",)}):
        assert len(await found(app_pool, account, **filters)) == 1
        assert await found(app_pool, other, **filters) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with tenant(app_pool, other) as connection:
            await connection.fetch(
                "SELECT search_parcels($1, $2::text::tsquery, 9)", account, f"'{account}:mine'"
            )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await app_pool.fetch("SELECT search_parcels($1, '''x'''::tsquery, 9)", account)


async def test_a_cursor_fits_only_its_own_list(
    account: int, admin_pool: Pool, app_pool: Pool, registrar: Registrar
) -> None:
    await made(app_pool, registrar, account, 3)
    other = await admin_pool.fetchval(
        "INSERT INTO account (name) VALUES ('other') RETURNING account_id"
    )
    asked = Asked(Filters(carriers=("dhl",)), size=1)
    cursor = (await list_parcels(app_pool, account, asked)).next_cursor
    again = dataclasses.replace(asked, cursor=cursor)
    assert (await list_parcels(app_pool, account, dataclasses.replace(again, size=2))).parcel_ids
    foreign: Sequence[tuple[int, Asked]] = [
        (other, again),
        (account, dataclasses.replace(again, filters=Filters())),
        (account, dataclasses.replace(again, descending=False)),
        (account, dataclasses.replace(again, sort="updated_at")),
        (account, dataclasses.replace(again, cursor=cursor[:-1])),
        (account, dataclasses.replace(again, cursor=cursor.swapcase())),
    ]
    for whose, page in foreign:
        with pytest.raises(ForeignCursor):
            await list_parcels(app_pool, whose, page)


@given(
    st.integers(-(10**15), 4 * 10**15).map(lambda moment: START + timedelta(microseconds=moment)),
    st.integers(1, 2**62),
)
def test_a_cursor_comes_back_as_it_was_to_the_microsecond(at: datetime, parcel_id: int) -> None:
    place = Place(at, parcel_id)
    assert place_of_cursor(cursor_of(place, b"list"), b"list") == place
    assert place_of_cursor(cursor_of(place, b"list"), b"another") is None


@given(st.text(max_size=60))
def test_garbage_is_no_cursor(text: str) -> None:
    assert place_of_cursor(text, b"list") is None
