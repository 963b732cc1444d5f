"""What is held: all parcels of an account, page by page, and everything about a single one."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from milepost.db.pool import Pool, retrying, tenant
from milepost.parcels.documents import Documents
from milepost.parcels.find import QUERIES
from milepost.tracking.parcel import number_key
from milepost.wire.own import Described

PAGE = 500
"""Parcels looked at in one query."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which parcels; None is no condition. Times are instants, the later one not included."""

    carrier_code: str | None = None
    status: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None


async def parcels(
    pool: Pool, documents: Documents, account_id: int, wanted: Wanted
) -> AsyncIterator[list[Described]]:
    """Pages of an account's parcels in the order they were registered; holds no transaction."""
    after = 0
    while True:
        found = await retrying(
            lambda after=after: _page(pool, account_id, wanted, after)  # type: ignore[misc]
        )
        if not found:
            return
        after = found[-1][0]
        ids = [parcel_id for parcel_id, is_wanted in found if is_wanted]
        described = await documents.describe(account_id, ids)
        # One that was erased since is not there any more.
        yield [described[parcel_id] for parcel_id in ids if parcel_id in described]


async def ids_of(pool: Pool, account_id: int, number: str) -> list[int]:
    """Every parcel that ever had ``number``, oldest first."""

    async def ask() -> list[int]:
        async with tenant(pool, account_id) as conn:
            key = number_key(number)
            rows = QUERIES.parcels_of_number(conn, account_id=account_id, number_key=key)
            return [row["parcel_id"] async for row in rows]

    return await retrying(ask)


async def everything(pool: Pool, account_id: int, parcel_id: int) -> dict[str, list[Any]]:
    """All rows about one parcel, by table; tables without any are left out.

    For the person it is about: nothing is summed up, and no table can be forgotten.
    """

    async def ask() -> dict[str, list[Any]]:
        held = {}
        async with tenant(pool, account_id) as conn:
            tables = [row["relname"] async for row in QUERIES.tables_about_parcels(conn)]
            for table in tables:
                rows = await conn.fetch(
                    f'SELECT to_jsonb(t) AS held FROM "{table}" t'
                    " WHERE account_id = $1 AND parcel_id = $2",
                    account_id,
                    parcel_id,
                )
                if rows:
                    held[table] = [_readable(row["held"]) for row in rows]
        return held

    return await retrying(ask)


async def _page(pool: Pool, account_id: int, wanted: Wanted, after: int) -> list[tuple[int, bool]]:
    async with tenant(pool, account_id) as conn:
        rows = QUERIES.export_page(
            conn,
            account_id=account_id,
            after=after,
            most=PAGE,
            carrier_code=wanted.carrier_code,
            status=wanted.status,
            created_from=wanted.created_from,
            created_before=wanted.created_before,
            updated_from=wanted.updated_from,
        )
        return [(row["parcel_id"], row["wanted"]) async for row in rows]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _text_of(value) for name, value in row.items()}


def _text_of(value: Any) -> Any:
    """Bytes as what they hold: a JSON document, else text; other values as they are."""
    if not isinstance(value, str) or not value.startswith("\\x"):
        return value
    try:
        held = bytes.fromhex(value[2:])
        return orjson.loads(held) if held[:1] in (b"{", b"[") else held.decode()
    except ValueError:
        return value
