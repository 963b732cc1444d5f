"""Reading a parcel's events: a fold over the facts in the order they happened.

What arrived when, and what time it is now, play no part. In short:

- a notice (no phase, no exception) and our own announcement of a parcel that is on its way already
  move nothing; neither does a paper fact (a label, an announcement) once the parcel was scanned;
- a fact that says return opens a return leg; a delivery on it is a delivery to the sender;
- after an end, announced, labelled, ready_to_send, dropped or accepted 3 to 30 days later opens a
  new leg; in_delivery, attempted or pup at least 2 hours after a delivery re-opens the leg; a
  delivery counts after an end on paper (a cancelled parcel that travelled all the same); every
  other fact is overruled. Times count from the last delivery told, if it was told more than once.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from milepost.tracking.events import Event
from milepost.tracking.journey import Entry, Journey
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
    fold = _Fold(announced_at)
    live = [(place_of(event), event) for event in events if event.withdrawn_at is None]
    for (at, *_), event in sorted(live):
        if event.event_type is EventType.CARRIER and at < announced_at - early:
            hidden.append(event)
        else:
            fold.read(event, at)
    return fold.journey(hidden)


class _Fold:
    """Where the parcel stands after the events read so far."""

    def __init__(self, announced_at: datetime) -> None:
        self.entries: list[Entry] = []
        self.reading = Reading(Phase.NONE)
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
        is_fact = not _is_notice(event.wording.reading)
        moves = is_fact and self._accepts(event, at)
        if moves:
            self._move(event, at)
        if is_fact and event.event_type is EventType.CARRIER:
            self.carrier_spoke = True
        entry = Entry(
            event=event,
            effective_at=at,
            leg=self.leg,
            moves=moves,
            overruled=is_fact and not moves,
            shown=self.reading,
            status=self.status,
        )
        self.entries.append(entry)

    def _accepts(self, event: Event, at: datetime) -> bool:
        """Whether a fact counts; opens or re-opens a leg where it calls for one."""
        own = event.wording.reading
        if event.event_type is EventType.INTERNAL and self.carrier_spoke:
            return False
        if not self.is_return and _says_return(event):
            self._open_leg(is_return=True)
            return True
        if self.ended_at is not None:
            return self._revives(own.phase, at)
        return not (self.scanned and own.phase in _PAPER and own.exception is ExceptionCode.NONE)

    def _revives(self, phase: Phase, at: datetime) -> bool:
        since_end = at - self.end_confirmed_at
        was_handed_over = self.reading.phase in _HANDED_OVER
        if phase in _HANDED_OVER:
            # Delivered once more: nothing moves, but what comes right after is as late as before.
            self.end_confirmed_at = at
            return not was_handed_over
        if phase in _STARTS_LEG and NEW_LEG_FROM <= since_end <= NEW_LEG_UNTIL:
            self._open_leg(is_return=False)
            return True
        return phase in _REOPENS_LEG and since_end >= REOPEN_FROM and was_handed_over

    def _open_leg(self, *, is_return: bool) -> None:
        if self.ended_at is not None:
            # A first fact without a phase must not inherit the end of the leg before.
            self.reading = Reading(Phase.IN_TRANSIT)
        self.leg += 1
        self.is_return = is_return
        self.scanned = False
        self.waited_at_pick_up = False

    def _move(self, event: Event, at: datetime) -> None:
        self.reading = self._in_context(event.wording.reading)
        self.status = status_of(self.reading, waited_at_pick_up=self.waited_at_pick_up)
        self.status_at = at
        self.ended_at = at if is_end(self.status, self.reading) else None
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

    def journey(self, hidden: Sequence[Event]) -> Journey:
        scans = [
            entry.effective_at
            for entry in self.entries
            if entry.event.event_type is EventType.CARRIER
        ]
        return Journey(
            entries=tuple(self.entries),
            hidden=tuple(hidden),
            reading=self.reading,
            status=self.status,
            status_at=self.status_at,
            first_scan_at=scans[0] if scans else None,
            last_scan_at=scans[-1] if scans else None,
            ended_at=self.ended_at,
            is_return=self.is_return,
        )


def _is_notice(reading: Reading) -> bool:
    return reading.phase is Phase.NONE and reading.exception is ExceptionCode.NONE


def _says_return(event: Event) -> bool:
    wording = event.wording
    return wording.leg == "return" or wording.reading.exception is ExceptionCode.RETURNED_SENDER
