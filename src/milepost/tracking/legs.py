"""Reading a parcel's events: a fold over the facts in the order they happened.

What arrived when, and what time it is now, play no part. In short:

- a notice (no phase, no exception) and our own announcement of a parcel that is on its way already
  move nothing; neither does a paper fact (a label, an announcement) once the parcel was scanned;
- a fact that says return opens a return leg; a delivery on it is a delivery to the sender;
- after an end, announced, labelled, ready_to_send, dropped or accepted 3 to 30 days later opens a
  new leg; in_delivery, attempted or pup at least 2 hours after a delivery re-opens the leg; a
  delivery counts after an end on paper (a cancelled parcel that travelled all the same); every
  other fact is overruled. Times count from the last delivery told, if it was told more than once;
- a calculated event is no fact: while it stands it is laid over the facts (exception, status type
  and sub status, never the phase) and ends nothing. Who is out for delivery is not shown as late.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from milepost.tracking.events import Event
from milepost.tracking.journey import MOVING, Entry, Journey, Verdict
from milepost.tracking.status import is_end, status_of
from milepost.tracking.timeline import place_of
from milepost.tracking.vocabulary import (
    EventType,
    ExceptionCode,
    Phase,
    Reading,
    StatusType,
    SubStatus,
)

NEW_LEG_FROM = timedelta(days=3)
NEW_LEG_UNTIL = timedelta(days=30)
REOPEN_FROM = timedelta(hours=2)
EARLY = timedelta(days=30)

_HANDED_OVER = frozenset({Phase.DELIVERED, Phase.DELIVERY_FORCED})
_STARTS_LEG = frozenset(
    {Phase.ANNOUNCED, Phase.LABELLED, Phase.READY_TO_SEND, Phase.DROPPED, Phase.ACCEPTED}
)
_REOPENS_LEG = frozenset({Phase.IN_DELIVERY, Phase.ATTEMPTED, Phase.PUP})
_PAPER = frozenset(
    {Phase.NO_LABEL, Phase.READY_TO_SEND, Phase.ANNOUNCING, Phase.ANNOUNCED, Phase.LABELLED}
)
_SCANNED = frozenset(
    {
        Phase.DROPPED,
        Phase.ACCEPTED,
        Phase.SORTED,
        Phase.IN_TRANSIT,
        Phase.CUSTOMS,
        Phase.IN_DELIVERY,
        Phase.ATTEMPTED,
        Phase.PUP,
    }
)


def read_journey(
    events: Iterable[Event], announced_at: datetime, early: timedelta = EARLY
) -> Journey:
    """The timeline of a parcel and what it amounts to.

    Carrier events that happened more than ``early`` before ``announced_at`` belong to an older
    parcel with the same number: they are ``hidden`` and tell nothing.
    """
    hidden: list[Event] = []
    withdrawn: list[Event] = []
    fold = _Fold(announced_at)
    for (at, *_), event in sorted([(place_of(event), event) for event in events]):
        if event.withdrawn_at is not None:
            withdrawn.append(event)
        elif event.event_type is EventType.CARRIER and at < announced_at - early:
            hidden.append(event)
        else:
            fold.read(event, at)
    return fold.journey(hidden, withdrawn)


class _Fold:
    """Where the parcel stands after the events read so far."""

    def __init__(self, announced_at: datetime) -> None:
        self.entries: list[Entry] = []
        self.reading = Reading(Phase.NONE)
        self.alarm: Reading | None = None
        self.shown = self.reading
        self.status = status_of(self.reading)
        self.status_at = announced_at
        self.leg = 1
        self.is_return = False
        self.ended_at: datetime | None = None
        self.end_confirmed_at = announced_at
        self.scanned = False
        self.waited_at_pick_up = False
        self.carrier_spoke = False

    def read(self, event: Event, at: datetime) -> None:
        """Take the next event; its entry shows what is in force after it."""
        verdict = self._judge(event, at)
        if verdict is Verdict.RAISED:
            self.alarm, self.status_at = event.wording.reading, at
        elif verdict in MOVING:
            self._move(event, at)
        if verdict in MOVING:
            self.shown = self._with_alarm()
            self.status = self._status_of(self.shown)
        if verdict is not Verdict.NOTICE and event.event_type is EventType.CARRIER:
            self.carrier_spoke = True
        self.entries.append(Entry(event, at, self.leg, verdict, self.shown, self.status))

    def _with_alarm(self) -> Reading:
        """The reading of the facts, with what stands over it."""
        own, alarm = self.reading, self.alarm
        if alarm is None or (
            own.phase is Phase.IN_DELIVERY and alarm.exception is ExceptionCode.DELIVERY_DELAY
        ):
            return own
        return Reading(own.phase, alarm.exception, alarm.status_type, alarm.sub_status)

    def _status_of(self, reading: Reading) -> str:
        return status_of(reading, waited_at_pick_up=self.waited_at_pick_up)

    def _judge(self, event: Event, at: datetime) -> Verdict:
        """Whether an event counts; opens or re-opens a leg where it calls for one."""
        own = event.wording.reading
        if event.event_type is EventType.CALCULATED:
            return Verdict.RAISED if self.ended_at is None else Verdict.AFTER_END
        if _is_notice(own):
            return Verdict.NOTICE
        if event.event_type is EventType.INTERNAL and self.carrier_spoke:
            return Verdict.ANNOUNCED_LATE
        if not self.is_return and _says_return(event):
            self._open_leg(is_return=True)
            return Verdict.OPENED_RETURN_LEG
        if self.ended_at is not None:
            return self._after_end(own.phase, at)
        if self.scanned and own.phase in _PAPER and own.exception is ExceptionCode.NONE:
            return Verdict.PAPER_AFTER_SCAN
        return Verdict.MOVED

    def _after_end(self, phase: Phase, at: datetime) -> Verdict:
        since_end = at - self.end_confirmed_at
        was_handed_over = self.reading.phase in _HANDED_OVER
        if phase in _HANDED_OVER:
            # Delivered once more: nothing moves, but what comes right after is as late as before.
            self.end_confirmed_at = at
            return Verdict.DELIVERED_AGAIN if was_handed_over else Verdict.DELIVERED_AFTER_END
        if phase in _STARTS_LEG and NEW_LEG_FROM <= since_end <= NEW_LEG_UNTIL:
            self._open_leg(is_return=False)
            return Verdict.OPENED_NEW_LEG
        if phase in _REOPENS_LEG and since_end >= REOPEN_FROM and was_handed_over:
            return Verdict.REOPENED_LEG
        return Verdict.AFTER_END

    def _open_leg(self, *, is_return: bool) -> None:
        if self.ended_at is not None:
            # A first fact without a phase must not inherit the end of the leg before.
            self.reading = Reading(Phase.IN_TRANSIT)
        self.leg += 1
        self.alarm = None
        self.is_return = is_return
        self.scanned = False
        self.waited_at_pick_up = False

    def _move(self, event: Event, at: datetime) -> None:
        self.reading = self._in_context(event.wording.reading)
        self.status_at = at
        self.ended_at = at if is_end(self._status_of(self.reading), self.reading) else None
        if self.ended_at is not None:
            self.alarm = None
        self.end_confirmed_at = at
        self.scanned = self.scanned or self.reading.phase in _SCANNED
        self.waited_at_pick_up = self.waited_at_pick_up or self.reading.phase is Phase.PUP

    def _in_context(self, own: Reading) -> Reading:
        """A fact's reading as this leg gives it its meaning."""
        if own.phase is Phase.NONE:
            phase = self.reading.phase
            return Reading(phase, own.exception, own.status_type, own.sub_status)
        if self.is_return and own.phase in _HANDED_OVER:
            return Reading(
                own.phase, ExceptionCode.RETURNED_SENDER, StatusType.ERROR, SubStatus.SENDER
            )
        return own

    def journey(self, hidden: Sequence[Event], withdrawn: Sequence[Event]) -> Journey:
        scans = [
            entry.effective_at
            for entry in self.entries
            if entry.event.event_type is EventType.CARRIER
        ]
        return Journey(
            entries=tuple(self.entries),
            hidden=tuple(hidden),
            reading=self.shown,
            status=self.status,
            status_at=self.status_at,
            first_scan_at=scans[0] if scans else None,
            last_scan_at=scans[-1] if scans else None,
            ended_at=self.ended_at,
            is_return=self.is_return,
            withdrawn=tuple(withdrawn),
        )


def _is_notice(reading: Reading) -> bool:
    return reading.phase is Phase.NONE and reading.exception is ExceptionCode.NONE


def _says_return(event: Event) -> bool:
    wording = event.wording
    return wording.leg == "return" or wording.reading.exception is ExceptionCode.RETURNED_SENDER
