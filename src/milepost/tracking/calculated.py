"""What nobody told us: deadlines that passed without a scan. Pure; ``now`` is handed in.

An alarm hangs on a fact and is identified by its kind and that fact. It stands while its deadline
has passed and no fact says otherwise, so what is returned is a function of facts and time: more of
the same facts' time brings more alarms, a disproving fact takes its alarms away.

- ``handover_delay``, ``dropoff_expiration``: announced on this leg, and the carrier, which has
  been asked, says nothing of having it. Nobody to ask: ``off_radar`` is all we may say.
- ``sorting_delay``: handed over or in sorting, and no scan since.
- ``off_radar``: on its way, and no scan of any kind since.
- ``pup_expiration``: waiting at a pick-up point, and not fetched by the carrier's own deadline, or
  for as long as usual where it told none.
- ``delivery_delay``: the promised day is over (the carrier's, else the merchant's), or the lane's
  usual time since the first scan. Who is out for delivery by then is in time.

A parcel that has arrived, or whose last fact is an error and needs a person, raises nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from milepost.tracking.descriptions import describe
from milepost.tracking.events import Event, Moment, Place, Sighting, Wording, ZoneSource
from milepost.tracking.journey import Entry, Journey
from milepost.tracking.timeline import place_of
from milepost.tracking.vocabulary import (
    EventType,
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

SOURCE = "calculated"
DELIVERY_GRACE = timedelta(hours=12)
"""After the end (UTC) of a promised day: the day is local, and last scans come in late."""

_KINDS = {
    ExceptionCode.HANDOVER_DELAY: SubStatus.NONE,
    ExceptionCode.DROPOFF_EXPIRATION: SubStatus.EXPIRED,
    ExceptionCode.SORTING_DELAY: SubStatus.DELAY,
    ExceptionCode.OFF_RADAR: SubStatus.NONE,
    ExceptionCode.PUP_EXPIRATION: SubStatus.EXPIRED,
    ExceptionCode.DELIVERY_DELAY: SubStatus.DELAY,
}
_NOT_UNDER_WAY = frozenset(
    {
        Phase.NONE,
        Phase.NO_LABEL,
        Phase.READY_TO_SEND,
        Phase.ANNOUNCING,
        Phase.ANNOUNCED,
        Phase.LABELLED,
    }
)
_IN_SORTING = frozenset({Phase.DROPPED, Phase.ACCEPTED, Phase.SORTED})


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How long is too long. The names in ``learned`` come from the lane's own history."""

    handover: timedelta = timedelta(days=3)
    dropoff: timedelta = timedelta(days=21)
    sorting: timedelta = timedelta(days=3)
    off_radar: timedelta = timedelta(days=7)
    pick_up: timedelta = timedelta(days=7)
    delivery: timedelta = timedelta(days=10)
    learned: frozenset[str] = frozenset()

    @classmethod
    def never(cls) -> "Thresholds":
        """Nothing is ever late: for reading what was told and nothing else."""
        age = timedelta(days=36_500)
        return cls(age, age, age, age, age, age)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a parcel: the ``journey`` of its facts alone, without alarms.

    ``promised_until`` is the end of what carrier or merchant promised (UTC), ``held_until`` when
    the carrier sends back what nobody fetched. ``was_asked``: the carrier answered at least once,
    or spoke unasked.
    """

    journey: Journey
    promised_until: datetime | None = None
    was_asked: bool = True
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """One deadline of one fact. ``basis``: ``default``, ``lane`` or ``promise``."""

    key: str
    kind: ExceptionCode
    hangs_on: str
    at: datetime
    threshold: timedelta
    basis: str

    @property
    def reading(self) -> Reading:
        """What it lays over the last fact: everything but the phase."""
        return Reading(Phase.NONE, self.kind, StatusType.WARNING, _KINDS[self.kind])


@dataclass(frozen=True, slots=True)
class Calculated:
    """The alarms that stand, oldest first, and when the next one would."""

    alarms: tuple[Alarm, ...]
    next_deadline: datetime | None


def calculated(
    facts: Facts,
    now: datetime,
    thresholds: Thresholds,
    frozen: Mapping[str, timedelta] | None = None,
) -> Calculated:
    """The alarms whose deadlines have passed at ``now``, and the next deadline.

    ``frozen`` are the thresholds of alarms that were raised before, by key: what was too long once
    stays too long, whatever the lane has learnt since.
    """
    alarms = sorted(_alarms(facts, thresholds, frozen or {}), key=lambda one: (one.at, one.key))
    ahead = [alarm.at for alarm in alarms if alarm.at > now]
    return Calculated(
        tuple(alarm for alarm in alarms if alarm.at <= now), min(ahead) if ahead else None
    )


def frozen_thresholds(events: Iterable[Event]) -> dict[str, timedelta]:
    """The thresholds kept in the calculated events of a parcel, withdrawn ones included."""
    return {
        event.key: timedelta(seconds=float(event.wording.raw_fields["threshold_seconds"]))
        for event in events
        if event.event_type is EventType.CALCULATED
    }


def settled(events: Sequence[Event], alarms: Iterable[Alarm], at: datetime) -> tuple[Event, ...]:
    """``events`` with these alarms standing and every other one withdrawn at ``at``.

    Nothing is taken out. One that stands already is the very object that was given; one that
    returns keeps its number.
    """
    wanted = {alarm.key: alarm for alarm in alarms}
    kept: list[Event] = []
    for event in events:
        if event.event_type is not EventType.CALCULATED:
            kept.append(event)
        elif (alarm := wanted.pop(event.key, None)) is not None:
            kept.append(_standing(event, alarm, at))
        else:
            kept.append(event if event.withdrawn_at else replace(event, withdrawn_at=at))
    if not wanted:
        return tuple(kept)
    return tuple(sorted([*kept, *(_event(alarm, at) for alarm in wanted.values())], key=place_of))


def _alarms(
    facts: Facts, thresholds: Thresholds, frozen: Mapping[str, timedelta]
) -> Iterator[Alarm]:
    journey = facts.journey
    moving = [entry for entry in journey.entries if entry.moves]
    if not moving or journey.ended_at is not None:
        return
    if journey.reading.status_type is StatusType.ERROR:
        return
    leg = [entry for entry in moving if entry.leg == moving[-1].leg]
    rules = _Rules(thresholds, frozen)
    scanned = [entry for entry in leg if entry.shown.phase not in _NOT_UNDER_WAY]
    if not scanned:
        yield from _not_handed_over(facts, leg[0], rules)
        return
    yield from _under_way(facts, leg, rules)
    if not journey.is_return and (late := _delivery(facts, leg, scanned[0], rules)):
        yield late


def _not_handed_over(facts: Facts, first: Entry, rules: "_Rules") -> Iterator[Alarm]:
    if facts.was_asked:
        yield rules.alarm(ExceptionCode.HANDOVER_DELAY, first, "handover")
        yield rules.alarm(ExceptionCode.DROPOFF_EXPIRATION, first, "dropoff")
    else:
        # Nobody could have told us anything before we knew of the parcel.
        heard = max(first.effective_at, first.event.first_seen)
        yield rules.alarm(ExceptionCode.OFF_RADAR, first, "off_radar", since=heard)


def _under_way(facts: Facts, leg: Sequence[Entry], rules: "_Rules") -> Iterator[Alarm]:
    last, phase = leg[-1], leg[-1].shown.phase
    if phase is Phase.PUP:
        yield _pick_up(facts, _start_of_run(leg), rules)
        return
    if phase in _IN_SORTING:
        yield rules.alarm(ExceptionCode.SORTING_DELAY, last, "sorting")
    yield rules.alarm(ExceptionCode.OFF_RADAR, last, "off_radar")


def _pick_up(facts: Facts, start: Entry, rules: "_Rules") -> Alarm:
    # One that was over before is that of an earlier stay.
    if facts.held_until is None or facts.held_until <= start.effective_at:
        return rules.alarm(ExceptionCode.PUP_EXPIRATION, start, "pick_up")
    wait = facts.held_until - start.effective_at
    return rules.alarm(ExceptionCode.PUP_EXPIRATION, start, "promise", threshold=wait)


def _delivery(facts: Facts, leg: Sequence[Entry], first: Entry, rules: "_Rules") -> Alarm | None:
    phase = leg[-1].shown.phase
    if phase is Phase.PUP:
        return None
    if facts.promised_until is None:
        late = rules.alarm(ExceptionCode.DELIVERY_DELAY, first, "delivery")
    else:
        wait = facts.promised_until + DELIVERY_GRACE - first.effective_at
        late = rules.alarm(
            ExceptionCode.DELIVERY_DELAY, first, "promise", threshold=max(wait, timedelta())
        )
    if phase is Phase.IN_DELIVERY and late.at > _start_of_run(leg).effective_at:
        return None
    return late


def _start_of_run(leg: Sequence[Entry]) -> Entry:
    """The first of the entries at the end that are all in one phase."""
    start = leg[-1]
    for entry in reversed(leg):
        if entry.shown.phase is not start.shown.phase:
            break
        start = entry
    return start


@dataclass(frozen=True, slots=True)
class _Rules:
    thresholds: Thresholds
    frozen: Mapping[str, timedelta]

    def alarm(
        self,
        kind: ExceptionCode,
        fact: Entry,
        name: str,
        *,
        since: datetime | None = None,
        threshold: timedelta | None = None,
    ) -> Alarm:
        key = f"{SOURCE}:|{kind.upper()}|{fact.event.key}"
        basis = "lane" if name in self.thresholds.learned else "default"
        if threshold is not None:
            basis = name
        else:
            threshold = getattr(self.thresholds, name)
        threshold = self.frozen.get(key, threshold)
        at = (since or fact.effective_at) + threshold
        return Alarm(key, kind, fact.event.key, at, threshold, basis)


def _standing(event: Event, alarm: Alarm, at: datetime) -> Event:
    if event.withdrawn_at is None and event.wording.moment.instant == alarm.at:
        return event
    again = _event(alarm, at)
    return replace(again, sequence=event.sequence, recorded_at=event.recorded_at)


def _event(alarm: Alarm, at: datetime) -> Event:
    stated = alarm.at.isoformat()
    moment = Moment(stated, alarm.at, home_minute="", zone="UTC", zone_source=ZoneSource.CARRIER)
    wording = Wording(
        source=SOURCE,
        observed_at=at,
        raw_code=alarm.kind.value,
        raw_text=describe(alarm.reading),
        raw_fields={
            "hangs_on": alarm.hangs_on,
            "threshold_seconds": f"{alarm.threshold.total_seconds():.0f}",
            "basis": alarm.basis,
        },
        place=Place(),
        moment=moment,
        reading=alarm.reading,
        leg="",
        position=0,
        mapping_version=1,
    )
    return Event(
        key=alarm.key,
        carrier_code="",
        event_type=EventType.CALCULATED,
        scan_class=alarm.kind.upper(),
        wording=wording,
        sightings=(Sighting(SOURCE, at, at),),
    )
