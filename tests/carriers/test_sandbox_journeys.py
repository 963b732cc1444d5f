"""Each sandbox story, asked again and again while it unfolds, makes the timeline it should."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from milepost.carriers.connector import Found, Item
from milepost.carriers.exchange import Answer
from milepost.carriers.registry import Catalogue
from milepost.carriers.samples import ReadsAnswers
from milepost.carriers.stories import read_script, tell
from milepost.tracking.events import Event, Observation
from milepost.tracking.journey import Journey
from milepost.tracking.legs import read_journey
from milepost.tracking.timeline import internal, merge

BEGIN = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
STEP = timedelta(hours=1)

ENDS = {
    "HAPPY": "delivered none",
    "RETURN": "delivered returned_sender",
    "DUPLICATE": "delivered none",
    "UNORDERED": "delivered none",
    "REWORDED": "delivered none",
    "OUTAGE": "delivered none",
    "LOST": "in_transit missing",
    "CUSTOMS": "delivered none",
    "PICKUP": "delivered returned_sender",
    "CLOCKS": "delivered none",
    "NEVER": "announced none",
}
CARRIER = Catalogue.load().get("sandbox")
assert CARRIER is not None
SCRIPT = read_script(CARRIER.folder / CARRIER.manifest.stories)


def lived(name: str) -> Journey:
    """The journey of a parcel that is checked every hour for eleven days."""
    assert CARRIER is not None
    connector = CARRIER.connector()
    assert isinstance(connector, ReadsAnswers)
    item = Item("1", f"SBX-{name}-1", shipped_at=BEGIN)
    events: tuple[Event, ...] = merge((), internal(BEGIN, BEGIN))
    for hour in range(1, 264):
        telling = tell(SCRIPT, item.number, BEGIN, BEGIN + hour * STEP)
        answer = Answer(telling.status, {}, orjson.dumps(telling.document))
        outcome = connector.outcome(item, answer)
        if isinstance(outcome, Found):
            assert outcome.as_of is not None
            events = merge(
                events, Observation("sandbox", "poll", outcome.as_of, outcome.scans, True)
            )
    return read_journey(events, BEGIN)


def test_every_story_has_its_end() -> None:
    assert set(ENDS) == set(SCRIPT.stories)


@pytest.mark.parametrize("name", ENDS)
def test_a_story_makes_its_timeline(name: str) -> None:
    journey = lived(name)
    told = [entry for entry in journey.entries if entry.event.event_type == "carrier"]
    assert [entry.event.wording.raw_code for entry in told] == [
        event.code for event in SCRIPT.stories[name].events
    ]
    assert f"{journey.reading.phase} {journey.reading.exception}" == ENDS[name]
    assert (journey.ended_at is not None) == ENDS[name].startswith("delivered")
    assert journey.hidden == ()


def test_new_words_are_revisions_of_one_event() -> None:
    sorted_entry = lived("REWORDED").entries[2].event
    assert sorted_entry.wording.raw_text == "Sorted in Utrecht, the Netherlands"
    assert len(sorted_entry.revisions) == 2
