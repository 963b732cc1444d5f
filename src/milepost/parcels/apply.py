"""What an observation makes of a parcel, before anything is written. Pure."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from milepost.carriers.connector import DeliveryEstimate, Found
from milepost.parcels.beside import extra_of, held_until
from milepost.parcels.render import expected_delivery
from milepost.parcels.stored import StoredParcel
from milepost.tracking.calculated import (
    Facts,
    Thresholds,
    calculated,
    frozen_thresholds,
    settled,
)
from milepost.tracking.events import Event, Observation
from milepost.tracking.expectation import estimated, thresholds
from milepost.tracking.journey import Journey
from milepost.tracking.lane_statistics import LaneStatistics
from milepost.tracking.legs import EARLY, read_journey
from milepost.tracking.timeline import Changes, changes, merge
from milepost.tracking.vocabulary import EventType

MAX_EVENTS = 2_000
"""Per parcel; below ``EVENT_ID_STRIDE``. A carrier that sends more is cut off, the newest lost."""


@dataclass(frozen=True, slots=True)
class News:
    """What was learnt beside scans; ``raw`` is the carrier's answer as it came."""

    estimate: DeliveryEstimate | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    raw: bytes = field(default=b"", repr=False)
    raw_type: str = ""


def news_of(found: Found) -> News:
    """What a carrier says beside its scans."""
    return News(found.estimate, extra_of(found), found.raw, found.raw_type)


@dataclass(frozen=True, slots=True)
class Rules:
    """What facts are read by: the settings' thresholds, and what the lane's past teaches."""

    early: timedelta = EARLY
    thresholds: Thresholds = field(default_factory=Thresholds)
    lane: LaneStatistics | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """A parcel after an observation, and how it differs.

    ``told`` are stored events to tell once more, as (sequence, kind): ``withdrawn``, or ``event``
    for one that was withdrawn and holds again. ``next_deadline`` is when time alone will say more.
    """

    parcel: StoredParcel
    changes: Changes
    told: tuple[tuple[int, str], ...] = ()
    next_deadline: datetime | None = None


def apply(
    stored: StoredParcel,
    observation: Observation,
    news: News,
    now: datetime,
    rules: Rules = Rules(),
) -> Applied:
    """Merge, settle what is overdue, number the new events, carry over what was learnt beside."""
    observation = _as_it_counts(observation, stored)
    merged = merge(stored.events, observation)
    facts = tuple(event for event in merged if event.event_type is not EventType.CALCULATED)
    journey = read_journey(facts, stored.announced_at, rules.early)
    parcel = dataclasses.replace(
        stored,
        estimate=news.estimate or stored.estimate,
        # A guess is made anew when there is news, not whenever the lane has learnt a little.
        own_estimate=(
            stored.own_estimate
            if stored.own_estimate and journey.ended_at is None and not observation.scans
            else estimated(journey, rules.lane)
        ),
        extra={**stored.extra, **news.extra},
    )
    clock = _clock(merged, observation, now)
    overdue = calculated(
        _facts(parcel, journey, observation),
        clock,
        thresholds(rules.thresholds, rules.lane),
        frozen_thresholds(merged),
    )
    events = _numbered(settled(merged, overdue.alarms, clock), stored.event_count, now)
    changed = changes(stored.events, events)
    is_news = bool(changed) or parcel != stored
    parcel = dataclasses.replace(
        parcel,
        events=events,
        # Never less than before: the number of an event that is gone is not given out again.
        event_count=max([stored.event_count, *(event.sequence for event in events)]),
        # Clients take it for a mark of change: a look at the clock alone is none.
        updated_at=now if is_news else stored.updated_at,
    )
    return Applied(parcel, changed, _told(stored.events, changed), overdue.next_deadline)


def _as_it_counts(observation: Observation, stored: StoredParcel) -> Observation:
    """An answer that a newer one has overtaken proves nothing by what it lacks.

    Unchanged answers leave no sightings; that there was one is in the schedule's row.
    """
    overtaken = stored.checked_at is not None and observation.observed_at < stored.checked_at
    if overtaken and observation.complete and observation.source == "poll":
        return dataclasses.replace(observation, complete=False)
    return observation


def _clock(events: tuple[Event, ...], observation: Observation, now: datetime) -> datetime:
    """The parcel's own time, which never runs backwards: a simulated carrier's may be ahead."""
    seen = [observation.observed_at, *(event.last_seen for event in events)]
    return max(now, *seen)


def _facts(parcel: StoredParcel, journey: Journey, observation: Observation) -> Facts:
    expected = expected_delivery(parcel)
    answered = observation.source == "poll" and observation.complete
    return Facts(
        journey,
        expected.promised_until if expected is not None else None,
        was_asked=answered or parcel.checked_at is not None or journey.first_scan_at is not None,
        held_until=held_until(parcel.extra),
    )


def _told(before: tuple[Event, ...], changed: Changes) -> tuple[tuple[int, str], ...]:
    was_withdrawn = {event.sequence: event.withdrawn_at is not None for event in before}
    return tuple(
        (event.sequence, "withdrawn" if event.withdrawn_at else "event")
        for event in changed.revised
        if was_withdrawn.get(event.sequence, False) is not (event.withdrawn_at is not None)
    )


def _numbered(events: tuple[Event, ...], counted: int, now: datetime) -> tuple[Event, ...]:
    fresh = [event for event in events if event.sequence == 0]
    fresh.sort(key=lambda event: (event.wording.moment.instant, event.wording.position, event.key))
    room = max(0, MAX_EVENTS - counted)
    numbers = {event.key: counted + place for place, event in enumerate(fresh[:room], start=1)}
    return tuple(
        event.recorded(numbers[event.key], now) if event.sequence == 0 else event
        for event in events
        if event.sequence or event.key in numbers
    )
