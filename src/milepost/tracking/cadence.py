"""When to ask a carrier about a parcel next. Pure: ``now`` and the dice are handed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.tracking.expectation import Expectation
from milepost.tracking.journey import Journey
from milepost.tracking.vocabulary import Phase

URGENCY_DELIVERY = 0
URGENCY_TRANSIT = 1
URGENCY_WAITING = 2
URGENCY_ENDED = 3
"""A smaller number is asked first when a quota does not let us ask about all."""

STRETCH = 6
"""At quiet hours an interval grows to this many times itself at most."""
SILENCE = timedelta(days=1.75)
"""After so long without a scan intervals grow with the silence, twice it, twice as long."""

FINAL_MISSES = 5
"""Failed tries after which a last check, or the first answer, is waited for no longer."""


@dataclass(frozen=True, slots=True)
class CadencePolicy:
    """How often to ask. A carrier's manifest may replace parts (``dataclasses.replace``)."""

    before_first_scan: timedelta = timedelta(hours=6)
    in_transit: timedelta = timedelta(hours=2)
    in_delivery: timedelta = timedelta(minutes=45)
    after_end: timedelta = timedelta(hours=24)
    longest: timedelta = timedelta(hours=12)
    """However quiet a lane is at some hours, an open parcel is never left alone for longer (or
    than its own interval, where that is longer)."""
    stop_without_scan: timedelta = timedelta(days=30)
    stop_after_last_scan: timedelta = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Plan:
    """Ask again at ``due_at`` (UTC, never before ``now``)."""

    due_at: datetime
    urgency: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Don't ask any more although the parcel has not arrived."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The parcel has arrived and was checked once more since."""

    reason: str


def next_check(
    journey: Journey,
    now: datetime,
    policy: CadencePolicy,
    *,
    registered_at: datetime,
    checked_at: datetime | None,
    misses: int = 0,
    jitter: float = 0.0,
    expectation: Expectation | None = None,
) -> Plan | Stop | Ended:
    """When the parcel is due next, or why it never is.

    With an ``expectation`` the interval is spent slowly while no scan is likely and fast when one
    is due, so that fewer questions find news as soon. The longer a parcel is silent, the longer the
    intervals.

    ``checked_at`` is when the carrier last answered ("not found" is an answer), None if never.
    ``misses`` counts the failed checks since. ``jitter`` in [0, 1) spreads parcels that would
    all be due at once: a check is at most a tenth early, never late.
    """
    if checked_at is None and not misses:
        return Plan(now, urgency_of(journey))
    if journey.ended_at is not None:
        return _after_end(journey.ended_at, now, policy, checked_at, misses, jitter)
    # Who was never asked with success has not been looked for yet.
    looked_for = checked_at is not None or misses >= FINAL_MISSES
    if looked_for and (reason := _given_up(journey, now, policy, registered_at, checked_at)):
        return Stop(reason)
    interval = interval_of(journey, policy)
    if misses or checked_at is None:
        return Plan(now + backoff(interval, misses, jitter), urgency_of(journey))
    longest = max(interval, policy.longest)
    silence = checked_at - (journey.last_scan_at or registered_at)
    interval = min(interval * max(1.0, silence / SILENCE), longest)
    wait = interval * (1 - jitter / 10)
    if expectation is not None:
        wait = _learned(journey, checked_at, wait, longest, expectation)
    return Plan(max(now, checked_at + wait), urgency_of(journey))


def _learned(
    journey: Journey,
    checked_at: datetime,
    interval: timedelta,
    longest: timedelta,
    expectation: Expectation,
) -> timedelta:
    """How long until as much effort has gathered as ``interval`` holds in the mean."""
    most = min(interval * STRETCH, longest).total_seconds()
    missing, waited = interval.total_seconds(), 0.0
    for span, effort in expectation.efforts(checked_at, journey):
        if span * effort >= missing:
            waited += missing / effort
            break
        missing -= span * effort
        waited += span
        if waited >= most:
            break
    return timedelta(seconds=min(waited, most))


def urgency_of(journey: Journey) -> int:
    """How soon a parcel is worth a question, least is first."""
    if journey.ended_at is not None:
        return URGENCY_ENDED
    if journey.first_scan_at is None:
        return URGENCY_WAITING
    return URGENCY_DELIVERY if journey.reading.phase is Phase.IN_DELIVERY else URGENCY_TRANSIT


def interval_of(journey: Journey, policy: CadencePolicy) -> timedelta:
    """The time between two checks of a parcel that has not ended."""
    if journey.first_scan_at is None:
        return policy.before_first_scan
    if journey.reading.phase is Phase.IN_DELIVERY:
        return policy.in_delivery
    return policy.in_transit


def backoff(interval: timedelta, misses: int, jitter: float) -> timedelta:
    """How long to wait after ``misses`` failed checks in a row (1 or more).

    A quarter of the interval at first, twice as long each time, four intervals at most; up to a
    quarter more by ``jitter``.
    """
    doublings = min(max(misses, 1) - 1, 4)
    return interval * (2.0**doublings / 4 * (1 + jitter / 4))


def _after_end(
    ended_at: datetime,
    now: datetime,
    policy: CadencePolicy,
    checked_at: datetime | None,
    misses: int,
    jitter: float,
) -> Plan | Ended:
    """One check, some time after the end, for corrections; then quiet."""
    last_look = ended_at + policy.after_end
    if checked_at is not None and checked_at >= last_look:
        return Ended("The parcel's journey is over.")
    if misses >= FINAL_MISSES and now >= last_look:
        return Ended("The parcel's journey is over; the last check got no answer.")
    due_at = now + backoff(policy.in_transit, misses, jitter) if misses else now
    return Plan(max(due_at, last_look), URGENCY_ENDED)


def _given_up(
    journey: Journey,
    now: datetime,
    policy: CadencePolicy,
    registered_at: datetime,
    checked_at: datetime | None,
) -> str:
    """Why nobody should ask any more, ``""`` if somebody should."""
    last = journey.last_scan_at
    if last is None and now - registered_at >= policy.stop_without_scan:
        what = "never scanned" if checked_at is not None else "gave no answer about"
        return f"The carrier {what} the parcel in {_days(policy.stop_without_scan)}."
    if last is not None and now - last >= policy.stop_after_last_scan:
        return f"The carrier's last scan is {_days(policy.stop_after_last_scan)} old."
    return ""


def _days(span: timedelta) -> str:
    return f"{span / timedelta(days=1):g} days"
