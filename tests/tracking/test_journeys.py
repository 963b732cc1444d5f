"""Golden journeys. A rule changed on purpose? ``python tests/tracking/rewrite_journeys.py``."""

import random
from pathlib import Path

import pytest
from tests.tracking import journey_files

PATHS = journey_files.paths()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_golden_journey(path: Path) -> None:
    document = journey_files.load(path)
    told = journey_files.observations(document)
    dice = random.Random(path.stem)
    for order in (told, told[::-1], told + told, dice.sample(told * 2, k=2 * len(told))):
        events = journey_files.merged(order)
        assert (
            journey_files.outcome(journey_files.journey(document, events)) == document["expected"]
        )


def test_the_golden_journeys_are_there() -> None:
    assert len(PATHS) >= 25
