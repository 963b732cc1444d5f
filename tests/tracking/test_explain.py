"""Why a parcel has its status: the fold's own verdicts, event by event."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from milepost.tracking.events import Event, Moment, Observation, Scan, ZoneSource
from milepost.tracking.explain import REASONS, RULES, deciding, judged, rule_of
from milepost.tracking.journey import MOVING, Journey, Verdict
from milepost.tracking.legs import read_journey
from milepost.tracking.status import Rule
from milepost.tracking.timeline import internal, merge
from milepost.tracking.vocabulary import ExceptionCode, Phase, Reading, StatusType

ANNOUNCED = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RETURNED = Reading(Phase.IN_TRANSIT, ExceptionCode.RETURNED_SENDER, StatusType.ERROR)
BUILDS: dict[Verdict, list[tuple[timedelta, Reading]]] = {
    Verdict.MOVED: [(DAY, Reading(Phase.IN_TRANSIT))],
    Verdict.OPENED_RETURN_LEG: [(DAY, Reading(Phase.IN_TRANSIT)), (2 * DAY, RETURNED)],
    Verdict.OPENED_NEW_LEG: [(DAY, Reading(Phase.DELIVERED)), (6 * DAY, Reading(Phase.ACCEPTED))],
    Verdict.REOPENED_LEG: [
        (DAY, Reading(Phase.DELIVERED)),
        (DAY + 3 * HOUR, Reading(Phase.IN_DELIVERY)),
    ],
    Verdict.DELIVERED_AFTER_END: [
        (DAY, Reading(Phase.CANCELLED)),
        (2 * DAY, Reading(Phase.DELIVERED)),
    ],
    Verdict.NOTICE: [(DAY, Reading(Phase.NONE))],
    Verdict.PAPER_AFTER_SCAN: [
        (DAY, Reading(Phase.ACCEPTED)),
        (2 * DAY, Reading(Phase.LABELLED)),
    ],
    Verdict.DELIVERED_AGAIN: [
        (DAY, Reading(Phase.DELIVERED)),
        (DAY + HOUR, Reading(Phase.DELIVERED)),
    ],
    Verdict.AFTER_END: [
        (DAY, Reading(Phase.DELIVERED)),
        (DAY + HOUR, Reading(Phase.IN_TRANSIT)),
    ],
}


def told(*facts: tuple[timedelta, Reading]) -> tuple[Event, ...]:
    scans = tuple(
        Scan(
            scan_class=f"C{place}",
            raw_code=f"C{place}",
            raw_text="as the carrier says it",
            moment=Moment(
                (at := ANNOUNCED + after).isoformat(),
                at,
                f"{at:%Y-%m-%dT%H:%M}",
                "UTC",
                ZoneSource.CARRIER,
            ),
            reading=reading,
            position=place,
        )
        for place, (after, reading) in enumerate(facts)
    )
    events = merge((), internal(ANNOUNCED, ANNOUNCED))
    return merge(events, Observation("dhl", "poll", ANNOUNCED + 60 * DAY, scans, complete=True))


def journey_of(*facts: tuple[timedelta, Reading]) -> Journey:
    return read_journey(told(*facts), ANNOUNCED)


@pytest.mark.parametrize(("verdict", "facts"), BUILDS.items())
def test_the_last_event_gets_the_verdict_its_rule_gives(
    verdict: Verdict, facts: list[tuple[timedelta, Reading]]
) -> None:
    journey = journey_of(*facts)
    assert list(judged(journey))[-1].verdict is verdict
    assert (deciding(journey) is journey.entries[-1]) is (verdict in MOVING)


def test_our_own_announcement_of_a_parcel_on_its_way() -> None:
    journey = journey_of((-DAY, Reading(Phase.IN_TRANSIT)))
    assert [one.verdict for one in judged(journey)] == [Verdict.MOVED, Verdict.ANNOUNCED_LATE]


def test_scans_of_an_older_parcel_and_withdrawn_events_are_told_too() -> None:
    events = told((-40 * DAY, Reading(Phase.DELIVERED)), (DAY, Reading(Phase.IN_TRANSIT)))
    last = dataclasses.replace(events[-1], withdrawn_at=ANNOUNCED + 2 * DAY)
    journey = read_journey((*events[:-1], last), ANNOUNCED)
    verdicts = [one.verdict for one in judged(journey)]
    assert verdicts == [Verdict.OLDER_THAN_PARCEL, Verdict.MOVED, Verdict.WITHDRAWN]
    decided = deciding(journey)
    assert decided is not None
    assert decided.event.event_type == "internal"


@pytest.mark.parametrize(
    ("reading", "rule"),
    [
        (Reading(Phase.DELIVERED), Rule.HANDED_OVER),
        (Reading(Phase.ATTEMPTED), Rule.ATTEMPTED),
        (Reading(Phase.IN_TRANSIT, ExceptionCode.DAMAGED), Rule.EXCEPTION),
        (Reading(Phase.IN_TRANSIT), Rule.PHASE),
    ],
)
def test_the_part_of_the_reading_that_gave_the_status(reading: Reading, rule: Rule) -> None:
    assert rule_of(journey_of((DAY, reading))) is rule


def test_every_verdict_and_rule_has_a_sentence() -> None:
    assert set(REASONS) == set(Verdict)
    assert set(RULES) == set(Rule)
