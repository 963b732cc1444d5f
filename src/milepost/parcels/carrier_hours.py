"""How asking carriers goes, hour by hour for each account: outcomes, new events and how late they
came. Counted in memory and kept once a minute; a process that dies loses a minute of it."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from milepost import metrics
from milepost.db.pool import Pool, all_rows, load_queries, retrying, tenant
from milepost.errors import DatabaseUnavailable
from milepost.tracking.events import Event, Precision
from milepost.tracking.vocabulary import UNREAD, EventType

QUERIES: Any = load_queries(Path(__file__).with_name("carrier_hours.sql"))
LAG_STEPS = metrics.LAG_BUCKETS
"""Upper bounds of the seconds between a scan and our first sight of it; beyond the last is one more
step."""
OUTCOMES = ("found", "not_found", "refused", "broken")
DAY = timedelta(hours=24)
_COUNTED_AS = {"notfound": "not_found", "unchanged": "found"}

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """Of one account at one carrier: checks by outcome, new events and those that no rule maps, and
    how many events came how late (``LAG_STEPS``)."""

    found: int = 0
    not_found: int = 0
    refused: int = 0
    broken: int = 0
    events: int = 0
    unmapped: int = 0
    lags: list[int] = field(default_factory=lambda: [0] * (len(LAG_STEPS) + 1))

    def add(self, other: "Counts") -> None:
        """Add another's."""
        for name in (*OUTCOMES, "events", "unmapped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lags = [mine + more for mine, more in zip(self.lags, other.lags, strict=True)]

    @property
    def checks(self) -> int:
        """Parcels that the carrier was asked about."""
        return self.found + self.not_found + self.refused + self.broken

    @property
    def success_rate(self) -> float | None:
        """The part of the checks that the carrier answered, also with "unknown"; None: no check."""
        return (self.found + self.not_found) / self.checks if self.checks else None

    @property
    def unmapped_rate(self) -> float | None:
        """The part of the new events that no rule maps; None: there were none."""
        return self.unmapped / self.events if self.events else None

    def lag(self, share: float) -> float | None:
        """Seconds within which ``share`` of the scans were seen; None: there were none.

        Within a step they are taken for evenly spread; beyond the last its bound is told.
        """
        wanted, below, start = share * sum(self.lags), 0, 0.0
        if not wanted:
            return None
        for count, end in zip(self.lags, LAG_STEPS, strict=False):
            if count and below + count >= wanted:
                return start + (end - start) * (wanted - below) / count
            below, start = below + count, end
        return start


Key = tuple[str, datetime]


class CarrierHours:
    """What one process counted and has not kept yet."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[Key, Counts]] = {}

    def checked(self, account_id: int, carrier_code: str, outcomes: Iterable[str]) -> None:
        """Count checks by the names of their outcomes' classes, in lower case."""
        counts = self._of(account_id, carrier_code, datetime.now(UTC))
        for outcome in outcomes:
            name = _COUNTED_AS.get(outcome, outcome)
            setattr(counts, name, getattr(counts, name) + 1)

    def recorded(
        self,
        account_id: int,
        carrier_code: str,
        watched_since: datetime,
        now: datetime,
        new: Iterable[Event],
    ) -> None:
        """Count new events of a parcel. Of those from before ``watched_since``, and of those of
        which only the day is known, nobody can say how late they were."""
        counts = None
        for event in new:
            if event.event_type is EventType.CALCULATED or not event.carrier_code:
                continue
            counts = counts or self._of(account_id, carrier_code, now)
            counts.events += 1
            metrics.carrier_events.labels(carrier_code).inc()
            counts.unmapped += event.wording.reading == UNREAD
            moment = event.wording.moment
            if moment.instant >= watched_since and moment.precision is not Precision.DAY:
                seconds = max(0.0, (now - moment.instant).total_seconds())
                counts.lags[bisect_left(LAG_STEPS, seconds)] += 1
                metrics.event_lag_seconds.labels(carrier_code).observe(seconds)

    async def keep(self, pool: Pool) -> None:
        """Add to what the database has, account by account; what failed is tried again.

        A fault of one account's is told in the log, and in nobody else's way. Raises
        DatabaseUnavailable.
        """
        counts, self._counts = self._counts, {}
        try:
            for account_id in list(counts):
                rows = [_row(key, one) for key, one in counts[account_id].items()]
                try:
                    await _keep(pool, account_id, rows)
                except DatabaseUnavailable:
                    raise
                except Exception:
                    log.exception("counts of an account could not be kept", account_id=account_id)
                    self._take_back({account_id: counts[account_id]})
                del counts[account_id]
        finally:
            # Whoever is stopped here has kept nothing of these, or counts one of them twice.
            self._take_back(counts)

    def _of(self, account_id: int, carrier_code: str, now: datetime) -> Counts:
        hour = now.replace(minute=0, second=0, microsecond=0)
        return self._counts.setdefault(account_id, {}).setdefault((carrier_code, hour), Counts())

    def _take_back(self, counts: Mapping[int, Mapping[Key, Counts]]) -> None:
        for account_id, keyed in counts.items():
            for (carrier_code, hour), one in keyed.items():
                self._of(account_id, carrier_code, hour).add(one)


async def _keep(pool: Pool, account_id: int, rows: list[dict[str, Any]]) -> None:
    await retrying(lambda: pool.execute("SELECT keep_carrier_hours($1, $2)", account_id, rows))


def _row(key: Key, counts: Counts) -> dict[str, Any]:
    carrier_code, hour = key
    names = (*OUTCOMES, "events", "unmapped", "lags")
    return {"carrier_code": carrier_code, "hour": hour} | {
        name: getattr(counts, name) for name in names
    }


async def hours_of(
    pool: Pool, account_id: int, carrier_code: str, since: datetime
) -> dict[datetime, Counts]:
    """What was counted of one account's parcels, by hour, from the hour of ``since`` on."""

    async def read() -> list[Any]:
        async with tenant(pool, account_id) as connection:
            rows = QUERIES.own_hours(
                connection, account_id=account_id, carrier_code=carrier_code, since=_hour(since)
            )
            return [row async for row in rows]

    return _by_hour(await retrying(read))


async def all_hours_of(pool: Pool, carrier_code: str, since: datetime) -> dict[datetime, Counts]:
    """The same for all accounts together; as the admin role."""
    return _by_hour(
        await all_rows(
            lambda: QUERIES.all_hours(pool, carrier_code=carrier_code, since=_hour(since))
        )
    )


def _hour(since: datetime) -> datetime:
    return since.replace(minute=0, second=0, microsecond=0)


def _by_hour(rows: Iterable[Any]) -> dict[datetime, Counts]:
    hours: dict[datetime, Counts] = {}
    for row in rows:
        told = {name: value for name, value in row.items() if name != "hour"}
        hours.setdefault(row["hour"], Counts()).add(Counts(**told))
    return hours
