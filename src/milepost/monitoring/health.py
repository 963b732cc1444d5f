"""How a carrier does: its answers and their lateness, its breaker, what in them nobody knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from milepost.accounts.vault import OPERATOR
from milepost.carriers.registry import Carrier
from milepost.db.pool import Pool
from milepost.monitoring.breaker import Resting, resting
from milepost.monitoring.drift import Drift, Maps, drift_of
from milepost.parcels.carrier_hours import DAY, OUTCOMES, Counts, all_hours_of, hours_of

SPANS = {"last_hour": timedelta(hours=1), "last_day": DAY}


@dataclass(frozen=True, slots=True)
class Health:
    """One carrier. ``spans`` are those of ``SPANS``, each from the hour in which it begins;
    ``state`` is ``asked``, or why nobody asks (``paused``, ``open``, ``half_open``) ``until`` when.
    """

    carrier_code: str
    state: str
    until: datetime | None
    spans: Mapping[str, Counts]
    drift: tuple[Drift, ...]


def document(health: Health, moment: Callable[[datetime], str]) -> dict[str, Any]:
    """A carrier's health as JSON, instants as ``moment`` makes them."""
    return {
        "carrier_code": health.carrier_code,
        "state": health.state,
        "until": None if health.until is None else moment(health.until),
        **{name: _span(counts) for name, counts in health.spans.items()},
        "drift": [
            {
                "kind": one.kind,
                "what": one.what,
                "seen": one.seen,
                "first_seen_at": moment(one.first_seen_at),
                "last_seen_at": moment(one.last_seen_at),
            }
            for one in health.drift
        ],
    }


def _span(counts: Counts) -> dict[str, Any]:
    return {
        "checks": counts.checks,
        "outcomes": {name: getattr(counts, name) for name in OUTCOMES},
        "success_rate": counts.success_rate,
        "events": counts.events,
        "unmapped": counts.unmapped,
        "unmapped_rate": counts.unmapped_rate,
        "lag_seconds": {"p50": counts.lag(0.5), "p95": counts.lag(0.95)},
    }


async def health_for(
    pool: Pool, carrier: Carrier, account_id: int, now: datetime, *, own_login: bool
) -> Health:
    """The carrier as an account meets it: its own checks, and what holds its own lanes."""
    hours = await hours_of(pool, account_id, carrier.manifest.code, now - DAY)
    owner = f"account:{account_id}" if own_login or _counted_alone(carrier) else OPERATOR
    return await _health(pool, carrier, hours, now, {"", owner}, None)


async def health_for_all(pool: Pool, carrier: Carrier, now: datetime, maps: Maps) -> Health:
    """The carrier as all accounts meet it, codes included; as the admin role."""
    hours = await all_hours_of(pool, carrier.manifest.code, now - DAY)
    return await _health(pool, carrier, hours, now, None, maps)


async def _health(
    pool: Pool,
    carrier: Carrier,
    hours: Mapping[datetime, Counts],
    now: datetime,
    owners: set[str] | None,
    maps: Maps | None,
) -> Health:
    asked = carrier.asked.manifest.code
    held = [
        one
        for one in await resting(pool)
        if one.carrier_code == asked and (owners is None or one.owner in owners)
    ]
    worst = min(held, key=_order, default=None)
    drift = await drift_of(pool, carrier, maps)
    return Health(
        carrier.manifest.code,
        "asked" if worst is None else worst.state,
        None if worst is None else worst.until,
        {name: _sum(hours, now - span) for name, span in SPANS.items()},
        tuple(drift),
    )


def _counted_alone(carrier: Carrier) -> bool:
    """Each account by itself, as ``question.credential_of`` has it."""
    return carrier.asked.manifest.simulated


def _order(one: Resting) -> int:
    """A pause holds everybody; our own login more accounts than one of theirs."""
    return 0 if one.state == "paused" else 1 if one.owner == OPERATOR else 2


def _sum(hours: Mapping[datetime, Counts], since: datetime) -> Counts:
    total = Counts()
    for hour, counts in hours.items():
        if hour + timedelta(hours=1) > since:
            total.add(counts)
    return total
