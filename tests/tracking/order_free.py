"""The order-free property, so that it can be put to the real rules and to broken ones."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import strategies as st
from tests.tracking import journey_files

from milepost.tracking.codec import event_to_fact
from milepost.tracking.events import Event, Moment, Observation, Place, Scan, ZoneSource
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import internal
from milepost.tracking.vocabulary import EventType

Merge = Callable[[Sequence[Event], Observation], tuple[Event, ...]]
Read = Callable[[Sequence[Event], datetime], Journey]

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SOURCES = ("poll", "push", "file", "own", "import")
READINGS = (
    "announced",
    "accepted",
    "sorted none success in_progress",
    "in_transit",
    "in_transit delivery_delay warning delay",
    "in_delivery",
    "attempted delivery_delay warning not_home",
    "pup none success pup",
    "delivered",
    "delivered none success pup",
    "in_transit returned_sender error in_progress",
    "cancelled cancelled warning",
    "none none success additional_information",
    "none changed warning updated",
    "unknown unknown warning unknown",
)


def timeline_bytes(events: Sequence[Event], journey: Journey) -> bytes:
    """Everything about a timeline but ids: two are equal when these bytes are."""
    entries = [
        [entry.event.key, entry.effective_at, entry.leg, entry.moves, entry.shown, entry.status]
        for entry in journey.entries
    ]
    summary = [journey.status, journey.status_at, journey.reading, journey.ended_at]
    hidden = [event.key for event in journey.hidden]
    facts = [event_to_fact(event) for event in events]
    return orjson.dumps([facts, entries, summary, hidden, journey.is_return])


def after(
    told: Sequence[Observation],
    merge: Merge,
    read: Read = read_journey,
    *,
    through_storage: bool = True,
) -> bytes:
    """The timeline after ``told`` in that order; each merge is on what storage gives back."""
    events: tuple[Event, ...] = ()
    for observation in told:
        events = merge(events, observation)
        if through_storage:
            events = journey_files.stored(events)
        taken = max((event.sequence for event in events), default=0)
        events = tuple(
            event if event.sequence else replace(event, sequence=taken + place)
            for place, event in enumerate(events, start=1)
        )
    return timeline_bytes(events, read(events, START))


def check_order_free(
    told: Sequence[Observation],
    merge: Merge,
    *,
    shuffles: int,
    dice: random.Random,
    read: Read = read_journey,
) -> None:
    """Fails unless every order of ``told``, with repeats, gives the same bytes."""
    expected = after(told, merge, read)
    for shuffle in range(shuffles):
        repeated = [*told, *dice.choices(told, k=dice.randint(0, len(told) // 2))]
        dice.shuffle(repeated)
        through_storage = shuffle % 5 == 0  # it costs more than all the rest
        assert after(repeated, merge, read, through_storage=through_storage) == expected


def respelled(scan: Scan, dice: random.Random) -> Scan:
    """The same scan as another feed of the carrier would tell it."""
    at, spelled = scan.moment, scan.scan_class
    return replace(
        scan,
        scan_class=dice.choice((spelled, spelled.lower(), f" {spelled}")),
        raw_text=dice.choice((scan.raw_text, scan.raw_text.upper(), f"{scan.raw_text} é\ud800\0")),
        place=dice.choice((scan.place, Place(), Place(city="BREDA", depot="7"))),
        moment=dice.choice((at, replace(at, stated=at.instant.isoformat(), zone="UTC"))),
        position=dice.choice((scan.position, 0)),
        mapping_version=dice.choice((1, 2)),
    )


def scan_at(minute: int, scan_class: str, says: str, *, position: int = 0) -> Scan:
    instant = START + timedelta(minutes=minute)
    stated = instant.isoformat()
    moment = Moment(stated, instant, stated[:16], "Europe/Amsterdam", ZoneSource.ASSUMED)
    reading = journey_files.reading(says)
    return Scan(scan_class, scan_class, f"Text {scan_class}", moment, reading, position=position)


def _scans(minutes: st.SearchStrategy[int]) -> st.SearchStrategy[Scan]:
    return st.builds(
        lambda minute, scan_class, says, leg, text, position: replace(
            scan_at(minute, scan_class, says, position=position), leg=leg, raw_text=text
        ),
        minutes,
        st.sampled_from(("A", "B", "a ", "C")),
        st.sampled_from(READINGS),
        st.sampled_from(("", "", "", "return")),
        st.sampled_from(("one", "two", "été")),
        st.integers(0, 3),
    )


def adversaries() -> st.SearchStrategy[list[Observation]]:
    """Anything goes: few classes, minutes and times, so that everything collides."""
    minutes = st.sampled_from((0, 1, 2, 300, 1439, 1440, 1441, 6000, 50_000, -60_000))
    observation = st.builds(
        lambda source, hours, scans, complete: Observation(
            "sandbox",
            source,
            START + timedelta(hours=hours),
            tuple(scans),
            complete and source != "import",
        ),
        st.sampled_from(SOURCES),
        st.sampled_from((0, 1, 5, 24, 25, 120, 900)),
        st.lists(_scans(minutes), max_size=4),
        st.booleans(),
    )
    announced = internal(START, START)
    return st.lists(observation, min_size=1, max_size=8).map(lambda told: [announced, *told])


def true_journey(dice: random.Random) -> list[Observation]:
    """A parcel on its way as several feeds tell it: polls grow, pushes say one thing, files lag.

    Some scans are corrected: their minute or their code is another one from some poll on.
    """
    steps = sorted(dice.sample(range(9 * 1440), k=dice.randint(3, 9)))
    scans = [
        scan_at(minute, dice.choice(("AR", "DP", "OD", "DL", "EX")), dice.choice(READINGS))
        for minute in steps
    ]
    told = [internal(START, START)]
    for poll in range(1, len(scans) + 1):
        known = [replace(scan, position=place) for place, scan in enumerate(scans[:poll])]
        at = known[-1].moment.instant + timedelta(minutes=dice.randint(1, 200))
        answer = tuple(respelled(scan, dice) for scan in known)
        told.append(Observation("sandbox", "poll", at, answer, complete=True))
        one = respelled(dice.choice(known), dice)
        if dice.random() < 0.5:
            told.append(Observation("sandbox", "push", at + timedelta(minutes=3), (one,)))
        if dice.random() < 0.2:
            some = tuple(dice.sample(answer, k=dice.randint(1, len(answer))))
            told.append(Observation("sandbox", "file", at + timedelta(days=2), some))
        if dice.random() < 0.3:
            place = dice.randrange(poll)
            moved = known[place].moment.instant + timedelta(minutes=dice.choice((-7, 11)))
            scans[place] = dice.choice(
                (
                    replace(scans[place], moment=_moved(scans[place].moment, moved)),
                    replace(scans[place], scan_class="FX", raw_code="FX"),
                )
            )
    return told


def _moved(moment: Moment, instant: datetime) -> Moment:
    stated = instant.isoformat()
    return replace(moment, stated=stated, instant=instant, home_minute=stated[:16])


def carrier_events(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.event_type is EventType.CARRIER]


def poll(hour: float, *scans: Scan, source: str = "poll", complete: bool = True) -> Observation:
    placed = tuple(replace(scan, position=place) for place, scan in enumerate(scans))
    return Observation("sandbox", source, START + timedelta(hours=hour), placed, complete)


def numbered(events: Sequence[Event]) -> tuple[Event, ...]:
    taken = max((event.sequence for event in events), default=0)
    fresh = [event.key for event in events if not event.sequence]
    return tuple(
        event if event.sequence else replace(event, sequence=taken + 1 + fresh.index(event.key))
        for event in events
    )


def keys(events: Sequence[Event]) -> list[str]:
    return [event.key.split("|", 1)[1] for event in carrier_events(events)]
