"""Events survive storage without loss."""

import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from tests.tracking import journey_files
from tests.tracking.order_free import START, adversaries, scan_at

from milepost.tracking.codec import event_from_fact, event_to_fact
from milepost.tracking.events import Observation, Place
from milepost.tracking.timeline import merge


@settings(max_examples=150, deadline=None)
@given(told=adversaries())
def test_round_trip(told: list[Observation]) -> None:
    events: tuple = ()  # type: ignore[type-arg]
    for observation in told:
        events = merge(events, observation)
    assert journey_files.stored(events) == events


def test_every_field_and_the_columns() -> None:
    scan = replace(
        scan_at(3, "AR", "in_transit returned_sender error in_progress", position=4),
        place=Place("Breda", "NL", "4811 AB", "Dorpsstraat", "1a", "D7", "SP9"),
        raw_fields={"scan": "x", "Größe": "é"},
        leg="return",
        mapping_version=7,
    )
    at = START + timedelta(hours=1, microseconds=7)
    (event,) = merge((), Observation("dhl", "push", at, (scan,)))
    fact = json.loads(json.dumps(event_to_fact(event)))
    back = event_from_fact(fact, sequence=5, recorded_at=at, withdrawn_at=at)
    assert back == replace(event, sequence=5, recorded_at=at, withdrawn_at=at)
