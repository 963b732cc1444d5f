"""Erasing a parcel: everything of it is gone in one transaction, and a receipt stays.

What a worker is writing at that moment is not resurrected: it writes only where the parcel's
revision still stands, and there is none. Timings without a person's data stay (``parcel_timing``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import orjson

from milepost import failpoints
from milepost.accounts.idempotency import forget_parcel
from milepost.db.patience import allow
from milepost.db.pool import Connection, Pool, retrying, tenant
from milepost.parcels.statements import CHANGES

ERASE_SECONDS = 10.0
"""A parcel may have thousands of rows; still within a request's time."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased: ``counts`` are rows by what they were. Nothing of the parcel is in it."""

    parcel_id: int
    erased_at: datetime
    actor: str
    counts: Mapping[str, int]


async def erase(pool: Pool, account_id: int, parcel_id: int, actor: str) -> Receipt | None:
    """Erase a parcel; None where the account has none of that id.

    One that was erased before gives its receipt again. ``actor`` says who asked for it (``key:7``,
    ``cli``) and is kept with the receipt. The number and the source_id are free at once.
    """

    async def attempt() -> Receipt | None:
        async with tenant(pool, account_id) as conn:
            return await _erase(conn, account_id, parcel_id, actor)

    allow(ERASE_SECONDS)
    receipt = await retrying(attempt, seconds=ERASE_SECONDS)
    failpoints.reach("erase.after_commit")
    return receipt


async def receipt_of(pool: Pool, account_id: int, parcel_id: int) -> Receipt | None:
    """The receipt of an erased parcel; None where none was erased."""

    async def look_up() -> Receipt | None:
        async with tenant(pool, account_id) as conn:
            return await _receipt(conn, account_id, parcel_id)

    return await retrying(look_up)


async def _erase(conn: Connection, account_id: int, parcel_id: int, actor: str) -> Receipt | None:
    which = {"account_id": account_id, "parcel_id": parcel_id}
    # Before the parcel, as whoever counts parcels locks them in this order.
    counted = await CHANGES.hold_usage(conn, account_id=account_id)
    parcel = await CHANGES.lock_parcel(conn, **which)
    if parcel is None:
        return await _receipt(conn, account_id, parcel_id)
    await CHANGES.count_uncounted(conn, **which, counted=counted)
    failpoints.reach("erase.mid")
    # The answers hold the number as JSON writes it, between quotes.
    number = orjson.dumps(parcel["tracking_number"])
    counts = {
        "kept_answers": await forget_parcel(conn, account_id, parcel_id, number),
        "outbox": await CHANGES.erase_outbox(conn, **which),
        "told": await CHANGES.erase_told(conn, **which),
        "search_words": await CHANGES.erase_words(conn, **which),
        "schedule": await CHANGES.erase_watch(conn, **which),
        "pushes": await CHANGES.erase_pushes(conn, **which),
        "numbers": await CHANGES.erase_numbers(conn, **which),
    }
    failpoints.reach("erase.mid")
    counts |= {
        "events": await CHANGES.erase_events(conn, **which),
        "raw_payloads": await CHANGES.erase_payloads(conn, **which),
        "parcels": await CHANGES.erase_parcel(conn, **which),
    }
    receipt = Receipt(parcel_id, datetime.now(UTC), actor, counts)
    await CHANGES.keep_receipt(
        conn, **which, erased_at=receipt.erased_at, actor=actor, counts=counts
    )
    failpoints.reach("erase.mid")
    await CHANGES.tell_erasure(conn, **which)
    await CHANGES.note(conn, **which, actor=actor, action="erase", detail={})
    failpoints.reach("erase.mid")
    return receipt


async def _receipt(conn: Connection, account_id: int, parcel_id: int) -> Receipt | None:
    row: asyncpg.Record | None = await CHANGES.receipt(
        conn, account_id=account_id, parcel_id=parcel_id
    )
    if row is None:
        return None
    return Receipt(row["parcel_id"], row["erased_at"], row["actor"], row["counts"])
