"""Journeys to tell of: those of tests/tracking, each with the parcel it is of."""

import dataclasses
from datetime import datetime

from tests.tracking import journey_files
from tests.wire.test_answers import PARCEL

from milepost.tracking.journey import Journey
from milepost.tracking.parcel import TrackedParcel

NAMES = [path.stem for path in journey_files.paths()]


def golden(name: str) -> tuple[TrackedParcel, Journey]:
    """A golden journey, its events numbered as they came, and a parcel announced when it was."""
    document = journey_files.load(journey_files.FOLDER / f"{name}.json")
    announced_at = datetime.fromisoformat(document["announced_at"])
    events = journey_files.merged(journey_files.observations(document))
    whole = journey_files.journey(document, events)
    entries = [
        dataclasses.replace(one, event=one.event.recorded(place, one.event.first_seen))
        for place, one in enumerate(whole.entries, start=1)
    ]
    parcel = dataclasses.replace(PARCEL, announced_at=announced_at)
    return parcel, dataclasses.replace(whole, entries=tuple(entries))
