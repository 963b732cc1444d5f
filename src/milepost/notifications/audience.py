"""Who is told what, decided without any I/O: from what happened to messages and deliveries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from milepost.notifications.filters import Filter
from milepost.notifications.forms import Form, Kind, Told
from milepost.notifications.novelty import is_repetition, status_changes
from milepost.tracking.events import Event
from milepost.tracking.journey import Entry, Journey, Verdict
from milepost.tracking.parcel import TrackedParcel, told_event_id
from milepost.tracking.timeline import place_of
from milepost.wire.classic import STATUS_CHANGED
from milepost.wire.v3_event import CREATED

EVENT_WITHDRAWN = "parcels.event.withdrawn"
LETTER = "letter"
STALE = timedelta(hours=48)
"""No recipient is written to about a scan that is older."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A connection as fan-out sees it: ``filters`` are those of its active subscriptions.

    ``active`` is an integration's ``webhook_active``. ``phases`` are those that are written about.
    """

    connection_id: int
    kind: Kind
    form: Form
    filters: tuple[Filter, ...] = ()
    active: bool = True
    phases: frozenset[str] = frozenset()

    def wants(self, subject: "Subject", entry: Entry, changes_status: bool) -> bool:
        """Whether one of its subscriptions asks for the event."""
        carrier_code = subject.parcel.carrier_code
        return any(one.wants(carrier_code, entry, changes_status) for one in self.filters)


@dataclass(frozen=True, slots=True)
class Happening:
    """A row of the outbox."""

    outbox_id: int
    parcel_id: int
    sequence: int
    kind: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """A parcel that something happened to, as it is now, and the status last told of it."""

    parcel: TrackedParcel
    journey: Journey
    told_status: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """Something to say in one form about a parcel; ``sequence`` is that of the event.

    ``name`` is the id under which it is told. What is said of a status has one that no other
    change has: the same event may give the same status once more, after a correction.
    """

    name: str
    parcel_id: int
    sequence: int
    action: str
    form: Form
    body: bytes


Body = Callable[[Form, Subject, Entry], bytes | None]
"""What is said in a form about an event; None: there is nobody to say it to."""


class Plan:
    """What fan-out writes. Places in ``messages`` count from 1; ``feed`` names 0 for none."""

    def __init__(self, body: Body, recipients: Sequence[Recipient]) -> None:
        self._body = body
        self._recipients = recipients
        self._integrations = {one.connection_id for one in recipients if _is_integration(one)}
        self._places: dict[tuple[int, int, str, Form], int] = {}
        self.messages: list[Message] = []
        self.feed: list[tuple[Happening, int]] = []
        self.deliveries: list[tuple[int, int]] = []
        self.statuses: dict[int, str] = {}

    def tell_event(
        self, happening: Happening, subject: Subject, entry: Entry, changes_status: bool
    ) -> None:
        """An event goes into the feed and to the event subscriptions, once to each connection."""
        self.feed.append((happening, self._say(CREATED, Form.EVENT, subject, entry)))
        for one in self._recipients:
            is_subscriber = one.kind is Kind.WEBHOOK and one.form is not Form.CLASSIC
            if is_subscriber and one.wants(subject, entry, changes_status):
                self._send(one, CREATED, subject, entry)

    def tell_withdrawal(self, happening: Happening, subject: Subject, event: Event) -> None:
        """What is no longer true is told in the feed alone: the next fact corrects it elsewhere."""
        journey = subject.journey
        reading = event.wording.reading
        entry = Entry(event, place_of(event)[0], 0, Verdict.WITHDRAWN, reading, journey.status)
        self.feed.append((happening, self._say(EVENT_WITHDRAWN, Form.EVENT, subject, entry)))

    def tell_erasure(self, happening: Happening) -> None:
        """That a parcel is gone is told in the feed alone, whose readers may have a copy."""
        self.feed.append((happening, 0))

    def tell_status(self, subject: Subject, happened: Sequence[Happening]) -> None:
        """A parcel's status, where another was told before: once for all that came together.

        It is numbered as the newest of that: the event that is the last on the timeline may be
        older than what was told before.
        """
        journey = subject.journey
        if not journey.entries or journey.status == subject.told_status:
            return
        self.statuses[subject.parcel.parcel_id] = journey.status
        entry = journey.entries[-1]
        newest = max(one.sequence for one in happened)
        event_id = told_event_id(subject.parcel.parcel_id, newest)
        name = f"{event_id}-{happened[-1].outbox_id}-{journey.status.lower()}"
        for one in self._recipients:
            if _is_integration(one):
                wanted = one.active and self._is_its(one, subject)
            else:
                wanted = one.form is Form.CLASSIC and one.wants(subject, entry, True)
            if wanted:
                self._send(one, STATUS_CHANGED, subject, entry, (name, newest))

    def write(self, subject: Subject, news: Sequence[Entry], now: datetime) -> None:
        """At most one letter: about the last thing that moved the parcel, unless it is stale."""
        moving = [entry for entry in news if entry.moves and entry.effective_at > now - STALE]
        if not moving or moving[-1].shown != subject.journey.reading:
            return
        if is_repetition(subject.journey, moving[-1], news):
            return
        for one in self._recipients:
            is_asked = one.kind is Kind.EMAIL and one.active
            if is_asked and moving[-1].shown.phase in one.phases:
                self._send(one, LETTER, subject, moving[-1])

    def _is_its(self, integration: Recipient, subject: Subject) -> bool:
        """The integration that the parcel names, where the account has it; else each of them."""
        named = (subject.parcel.document.get("details") or {}).get("integration_id")
        return named not in self._integrations or named == integration.connection_id

    def _send(
        self,
        to: Recipient,
        action: str,
        subject: Subject,
        entry: Entry,
        under: tuple[str, int] | None = None,
    ) -> None:
        place = self._say(action, to.form, subject, entry, under)
        if place:
            self.deliveries.append((to.connection_id, place))

    def _say(
        self,
        action: str,
        form: Form,
        subject: Subject,
        entry: Entry,
        under: tuple[str, int] | None = None,
    ) -> int:
        """The place of the message, which is made once; 0 where there is nothing to say.

        ``under`` are its name and its number where they are not the event's.
        """
        parcel_id, sequence = subject.parcel.parcel_id, entry.event.sequence
        which = (parcel_id, sequence, action, form)
        if which not in self._places:
            body = self._body(form, subject, entry)
            if body is not None:
                name, number = under or (
                    told_event_id(parcel_id, sequence) + _suffix(action),
                    sequence,
                )
                self.messages.append(Message(name, parcel_id, number, action, form, body))
            self._places[which] = 0 if body is None else len(self.messages)
        return self._places[which]


def plan(
    happenings: Sequence[Happening],
    subjects: Mapping[int, Subject],
    recipients: Sequence[Recipient],
    body: Body,
    now: datetime,
) -> Plan:
    """What is to be written for ``happenings``, which are in the order they were recorded.

    1. each new event, in this order; a correction and an erasure too. What is of no parcel any
       more, older than the parcel, or withdrawn before anybody was told, is told to nobody;
    2. each parcel's status, and a letter about it, once for all of its events.
    """
    made = Plan(body, recipients)
    happened: dict[int, list[Happening]] = {}
    for happening in happenings:
        happened.setdefault(happening.parcel_id, []).append(happening)
    known = {
        parcel_id: _Known(subject, happened.get(parcel_id, ()))
        for parcel_id, subject in subjects.items()
    }
    for happening in happenings:
        of_parcel = known.get(happening.parcel_id)
        if happening.kind == Told.ERASED:
            made.tell_erasure(happening)
        elif of_parcel is not None:
            _tell(made, happening, of_parcel)
    for parcel_id, together in happened.items():
        if (of_parcel := known.get(parcel_id)) is None:
            continue
        subject, news = of_parcel.subject, list(of_parcel.told.values())
        if news or subject.told_status is not None:
            made.tell_status(subject, together)
        made.write(subject, sorted(news, key=lambda e: e.effective_at), now)
    return made


def _tell(made: Plan, happening: Happening, known: "_Known") -> None:
    sequence = happening.sequence
    if happening.kind == Told.WITHDRAWN:
        withdrawn = known.withdrawn.get(sequence)
        if withdrawn is not None and sequence not in known.untold:
            made.tell_withdrawal(happening, known.subject, withdrawn)
        return
    entry = known.entries.get(sequence)
    if entry is None:
        known.untold.add(sequence)
    elif sequence not in known.told:
        known.told[sequence] = entry
        made.tell_event(happening, known.subject, entry, sequence in known.changing)


class _Known:
    """A journey by its events' sequence numbers, and what of it is told: ``told`` are its events,
    ``untold`` those that stand no more before anybody was told."""

    def __init__(self, subject: Subject, happened: Sequence[Happening]) -> None:
        journey = subject.journey
        self.subject = subject
        self.entries = {entry.event.sequence: entry for entry in journey.entries}
        self.withdrawn = {event.sequence: event for event in journey.withdrawn}
        changing = status_changes(journey)
        self.changing = changing | _bringing_back(subject, happened, changing)
        self.told: dict[int, Entry] = {}
        self.untold: set[int] = set()


def _bringing_back(
    subject: Subject, happened: Sequence[Happening], changing: frozenset[int]
) -> frozenset[int]:
    """The event that disproves a status which was told: on the timeline, where that stands no more,
    it changes nothing, but to who asks for changes alone it is one."""
    journey = subject.journey
    recorded = {one.sequence for one in happened if one.kind == Told.EVENT}
    news = [entry for entry in journey.entries if entry.event.sequence in recorded]
    if subject.told_status in (None, journey.status) or not news:
        return frozenset()
    giving = [entry.event.sequence for entry in news if entry.status == journey.status]
    return frozenset(giving[-1:] if changing.isdisjoint(giving) else ())


def _suffix(action: str) -> str:
    return "" if action == CREATED else f"-{action.rpartition('.')[2]}"


def _is_integration(one: Recipient) -> bool:
    return one.kind is Kind.INTEGRATION
