"""Carriers nobody asks for a while: those that fail, and those the operator paused.

The breaker is one for each carrier and credential owner, over all workers, and lies beside the
quota: one account's bad login rests its own lanes only. It opens after faults in a row, or when
half of the latest questions failed; it stays open ever longer; then one probe decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from milepost.db.pool import Pool, all_rows, load_queries, retrying
from milepost.monitoring.slots import Ledger

QUERIES: Any = load_queries(Path(__file__).with_name("monitoring.sql"))
MOST_FAULTS = 5
"""In a row, of the carrier as a whole; each is the answer to one batch."""
REST = timedelta(seconds=30)
"""How long the breaker is open at first; twice as long after each probe that fails."""
LONGEST_REST = timedelta(minutes=15)

log = structlog.get_logger(__name__)


async def weigh(
    pool: Pool, ledger: Ledger, *, answered: bool, failed: bool, why: str = ""
) -> timedelta | None:
    """Count one batch; how long the carrier's lanes are to rest, None where it is well.

    Costs nothing while all is well. Said in the log when the breaker opens and when it closes.
    """
    if not failed and not (answered and ledger.troubled) and ledger.probe is None:
        return None
    # What is asked beside and after a fault counts as well, else all faults were in a row.
    ledger.troubled = ledger.troubled or failed
    budget = ledger.budget
    row = await retrying(
        lambda: pool.fetchrow(
            "SELECT is_open, changed, wait FROM count_answers($1, $2, $3, $4, $5, $6, $7, $8)",
            budget.carrier_code,
            budget.owner,
            int(answered),
            int(failed),
            ledger.probe,
            MOST_FAULTS,
            REST,
            LONGEST_REST,
        )
    )
    assert row is not None  # noqa: S101 - a function with OUT parameters gives one row
    if row["changed"]:
        told = {"carrier_code": budget.carrier_code, **_whose(budget.owner)}
        if row["is_open"]:
            log.warning("carrier rests after faults", reason=why, **told)
        else:
            log.info("carrier answers again", **told)
    if not row["is_open"]:
        return None
    wait: timedelta = row["wait"]
    ledger.deny("open", wait.total_seconds())
    return wait


def _whose(owner: str) -> dict[str, str]:
    kind, _, account_id = owner.partition(":")
    return {"account_id": account_id} if kind == "account" else {}


@dataclass(frozen=True, slots=True)
class Resting:
    """A carrier nobody asks. ``owner`` is whose credential, "" for all (paused by the operator).

    ``state`` is ``paused``, ``open`` or ``half_open`` (``until`` is over: the next is a probe).
    """

    carrier_code: str
    owner: str
    state: str
    until: datetime | None


async def resting(pool: Pool) -> list[Resting]:
    """Every breaker that is not closed, and every carrier that is paused."""
    rows = await all_rows(lambda: QUERIES.resting(pool))
    return [
        Resting(row["carrier_code"], row["owner"], row["state"], row["open_until"]) for row in rows
    ]


async def pause_carrier(pool: Pool, carrier_code: str) -> bool:
    """Have nobody ask a carrier until ``resume_carrier``; False where that was so already.

    Requests that are under way end; within a second none is sent any more. As the admin role.
    """
    done = await retrying(
        lambda: pool.fetchval(
            "INSERT INTO carrier_pause (carrier_code) VALUES ($1) ON CONFLICT DO NOTHING "
            "RETURNING true",
            carrier_code,
        )
    )
    return bool(done)


async def resume_carrier(pool: Pool, carrier_code: str, lanes: Sequence[str]) -> bool:
    """Let a carrier be asked again, ``lanes`` (every code it is asked for) at once; False: it was
    not paused. As the admin role."""
    done = await retrying(
        lambda: pool.fetchval(
            "DELETE FROM carrier_pause WHERE carrier_code = $1 RETURNING true", carrier_code
        )
    )
    if done:
        # Platform and tenant tables share no transaction; a lane left out wakes by itself.
        await retrying(lambda: QUERIES.end_rests(pool, carrier_codes=list(lanes)))
    return bool(done)
