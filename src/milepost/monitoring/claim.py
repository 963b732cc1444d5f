"""Whose turn it is: lanes, and the due rows of a lane under a lease."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import asyncpg

from milepost import metrics
from milepost.db.pool import Pool, all_rows, load_queries, retrying
from milepost.tracking.codec import to_reading
from milepost.tracking.journey import Journey

QUERIES: Any = load_queries(Path(__file__).with_name("monitoring.sql"))


@dataclass(frozen=True, slots=True)
class Lane:
    """All of one account's parcels at one carrier."""

    account_id: int
    carrier_code: str
    state: str = field(default="open", compare=False)


@dataclass(frozen=True, slots=True)
class Claimed:
    """One due parcel under a lease. ``fence`` proves the claim when the result is written;
    ``journey`` is its stored status without entries."""

    parcel_id: int
    fence: int
    misses: int
    answer_hash: str
    tracking_number: str
    origin_country: str
    destination_country: str
    postal_code: str
    announced_at: datetime
    registered_at: datetime
    last_checked_at: datetime | None
    next_deadline_at: datetime | None
    journey: Journey


async def due_lanes(pool: Pool, most: int) -> list[Lane]:
    """At most ``most`` lanes whose turn has come, longest waiting first."""
    return await lanes_of(lambda: QUERIES.due_lanes(pool, most=most))


async def claim(
    pool: Pool, lane: Lane, most: int, lease: timedelta, batch: int = 1
) -> list[Claimed]:
    """Take up to ``most`` due rows of ``lane`` for ``lease``; others skip them until it ends.

    Where the last ``batch`` of them is not full, rows that are due soon are taken along.
    """
    began = perf_counter()
    rows = await retrying(
        lambda: pool.fetch(
            "SELECT * FROM claim_due($1, $2, $3, $4, $5)",
            lane.account_id,
            lane.carrier_code,
            most,
            lease,
            batch,
        )
    )
    metrics.claim_seconds.observe(perf_counter() - began)
    return [_claimed(row) for row in rows]


async def uncount(pool: Pool, lane: Lane, unasked: int) -> None:
    """Take parcels off the account's usage that were claimed and got no slot."""
    await retrying(
        lambda: pool.execute(
            "SELECT uncount_checks($1, $2, $3)", lane.account_id, lane.carrier_code, unasked
        )
    )


async def pause(pool: Pool, lane: Lane, state: str, wait: timedelta | None) -> None:
    """Let nobody ask for ``lane`` for ``wait``, by the database's clock; None: until it is opened.

    A changed state makes stored answers stale.
    """
    changed = await retrying(
        lambda: pool.fetchval(
            "SELECT pause_lane($1, $2, $3, $4)", lane.account_id, lane.carrier_code, state, wait
        )
    )
    if changed:
        await _render_anew(pool, lane)


async def rest(pool: Pool, lane: Lane, wait: timedelta) -> None:
    """Let nobody ask for ``lane`` for ``wait``, by the database's clock; its state stays."""
    await retrying(
        lambda: pool.execute(
            "SELECT rest_lane($1, $2, $3)", lane.account_id, lane.carrier_code, wait
        )
    )


async def wait_for_slot(pool: Pool, lane: Lane, wait: timedelta, gap: timedelta) -> None:
    """Let ``lane`` wait for the next slot of a quota whose slots lie ``gap`` apart.

    Of the lanes that share the quota the one that was served longest ago comes first.
    """
    await retrying(
        lambda: pool.execute(
            "SELECT wait_for_slot($1, $2, $3, $4)", lane.account_id, lane.carrier_code, wait, gap
        )
    )


async def close(
    pool: Pool,
    lane: Lane,
    state: str,
    wait: timedelta | None,
    login_carrier: str,
    own_login: bytes | None,
) -> None:
    """``pause`` because of the account's own login of this version at a carrier (None: because it
    has none); where it has another one by now, nothing happens."""
    changed = await retrying(
        lambda: pool.fetchval(
            "SELECT pause_lane($1, $2, $3, $4, $5, $6)",
            lane.account_id,
            lane.carrier_code,
            state,
            wait,
            login_carrier,
            own_login,
        )
    )
    if changed:
        await _render_anew(pool, lane)


async def wake(pool: Pool, lane: Lane) -> None:
    """Open ``lane`` and make its parcels due now; a changed state makes stored answers stale."""
    changed = await retrying(
        lambda: pool.fetchval("SELECT wake_lane($1, $2)", lane.account_id, lane.carrier_code)
    )
    if changed:
        await _render_anew(pool, lane)


async def _render_anew(pool: Pool, lane: Lane) -> None:
    await retrying(lambda: pool.execute("SELECT raise_render_epoch($1)", lane.account_id))


async def closed_lanes(
    pool: Pool, after: Lane, most: int, carrier_codes: Sequence[str]
) -> list[Lane]:
    """Closed lanes of these carriers with their state, in key order after ``after``."""
    codes = list(carrier_codes)
    return await lanes_of(
        lambda: QUERIES.closed_lanes(pool, most=most, carrier_codes=codes, **_key(after))
    )


async def open_lanes(pool: Pool, after: Lane, most: int, ahead: timedelta) -> list[Lane]:
    """Lanes whose next turn is more than ``ahead`` from now, in key order after ``after``."""
    return await lanes_of(lambda: QUERIES.open_lanes(pool, most=most, ahead=ahead, **_key(after)))


async def lanes_of(select: Callable[[], AsyncIterator[asyncpg.Record]]) -> list[Lane]:
    """The lanes a statement of ``QUERIES`` gives."""
    rows = await all_rows(select)
    return [Lane(row["account_id"], row["carrier_code"], row["state"]) for row in rows]


def _key(lane: Lane) -> dict[str, Any]:
    return {"account_id": lane.account_id, "carrier_code": lane.carrier_code}


def _claimed(row: asyncpg.Record) -> Claimed:
    reading = to_reading(row["phase"], row["exception"], row["status_type"], row["sub_status"])
    journey = Journey(
        entries=(),
        hidden=(),
        reading=reading,
        status=row["status"],
        status_at=row["status_at"],
        first_scan_at=row["first_scan_at"],
        last_scan_at=row["last_scan_at"],
        ended_at=row["ended_at"],
        is_return=False,
    )
    return Claimed(
        parcel_id=row["parcel_id"],
        fence=row["fence"],
        misses=row["misses"],
        answer_hash=(row["answer_hash"] or b"").hex(),
        tracking_number=row["tracking_number"],
        origin_country=row["origin_country"],
        destination_country=row["destination_country"],
        postal_code=row["postal_code"],
        announced_at=row["announced_at"],
        registered_at=row["created_at"],
        last_checked_at=row["last_checked_at"],
        next_deadline_at=row["next_deadline_at"],
        journey=journey,
    )
