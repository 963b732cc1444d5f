"""What was learnt of many parcels at once, recorded together: one statement for many of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from milepost import failpoints
from milepost.db.pool import Pool, retrying
from milepost.parcels.apply import News
from milepost.parcels.record import Kept, Planner, Recorder
from milepost.parcels.record_columns import Columns
from milepost.parcels.stored import StoredParcel
from milepost.tracking.events import Observation

MOST = 100
"""Parcels of one statement: the server gives up one that takes too long."""
SECONDS = 15.0
"""Nobody waits for an answer here."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was learnt of ``parcel``, which was read a moment ago; no raw answer is kept of it."""

    parcel: StoredParcel
    observation: Observation
    news: News


async def record_many(
    pool: Pool,
    recorder: Recorder,
    account_id: int,
    told: Sequence[Told],
    now: datetime,
    plan: Planner,
    *,
    quiet: bool = False,
) -> None:
    """Does what ``Recorder.record`` does, for each of these; none may be named twice.

    Parcels that changed since they were read are recorded by themselves: those are read again. It
    may be repeated as a whole: what stands is not written twice. Raises what ``record`` raises.
    """
    for first in range(0, len(told), MOST):
        group = told[first : first + MOST]
        decided = [await _decided(recorder, one, now, plan) for one in group]
        news = [kept for kept in decided if _is_news(kept)]
        written = await _write(pool, recorder, account_id, news, now, quiet=quiet)
        for one, kept in zip(group, decided, strict=True):
            parcel_id = one.parcel.parcel_id
            if parcel_id in written:
                recorder.recorded(one.observation, kept, now)
            elif _is_news(kept):
                await recorder.record(
                    account_id, parcel_id, one.observation, now, plan, news=one.news, quiet=quiet
                )


async def _decided(recorder: Recorder, one: Told, now: datetime, plan: Planner) -> Kept:
    merging = recorder.merging(one.observation, one.news, now)
    kept = await recorder.decided(one.parcel, merging, plan, now)
    if kept is None:
        raise AssertionError("unreachable: an observation always amounts to something")
    return kept


def _is_news(kept: Kept) -> bool:
    # That an event was told once more in the same words is none, though it is in the events.
    after = replace(kept.after.parcel, events=kept.before.events)
    return bool(kept.after.changes) or kept.watch is not None or after != kept.before


async def _write(
    pool: Pool,
    recorder: Recorder,
    account_id: int,
    decided: Sequence[Kept],
    now: datetime,
    *,
    quiet: bool,
) -> set[int]:
    """The parcels that were written."""
    if not decided:
        return set()
    given = await recorder.columns(decided)
    arguments: tuple[list[Any], ...] = (
        [kept.before.parcel_id for kept in decided],
        [kept.before.revision for kept in decided],
        [_document(one) for one in given],
        [one.v3 for one in given],
        [one.v2 for one in given],
    )
    failpoints.reach("many.before_commit")
    rows = await retrying(
        lambda: pool.fetch(_RECORD_MANY, account_id, now, quiet, *arguments), seconds=SECONDS
    )
    failpoints.reach("many.after_commit")
    return {row["parcel_id"] for row in rows}


def _document(given: Columns) -> dict[str, Any]:
    return {
        "state": given.state,
        "new": given.new,
        "revised": given.revised,
        "dropped": given.dropped,
        "told": given.told,
        "watch": given.watch,
        "deadline": given.deadline,
        "timing": given.timing,
    }


_RECORD_MANY = "SELECT parcel_id FROM record_many($1, $2, $3, $4, $5, $6, $7, $8) AS r (parcel_id)"
